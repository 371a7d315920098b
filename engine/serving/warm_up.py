"""What a paged runner does before it serves, in pieces between which requests may be served."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version

import torch

from ..device.devices import device_name
from ..kernels.common.compile_ahead import Compiling, KnownSteps, have_compiled, noted
from ..kernels.common.compile_server import KernelWanted
from ..kernels.linear.cublas_choice import choose_algorithms
from ..kernels.linear.dispatch import MOST_DENSE_ROWS
from ..kernels.linear.prepare import rows_to_warm_up
from ..model.decoder import Decoder
from ..ops.step_layout import StepLayout
from ..precision.linear import Linear
from .step_builder import TABLE_STEP
from .step_sizes import StepSizes

_run_before: set[str] = set()
"""The steps whose kinds this process has run: a switch back to a precision need not run them."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of warming up that is done, or that waits for kernels; `what` is done, in words."""

    what: str
    waits_for: Compiling | None = None

    @property
    def blocked(self) -> bool:
        """Whether the next piece has to wait."""
        return self.waits_for is not None and self.waits_for.missing > 0


@dataclass(frozen=True)
class WarmUp:
    """Compiles, chooses and runs once whatever the steps of `sizes` launch through `decoder`.

    `run` computes steps of empty rows through a decoder: `most_rows` at most, of which a token
    follows `sampled_rows` at most. `gathers`: long prompts have kernels of their own.
    """

    decoder: Decoder
    kv_dtype: torch.dtype
    sizes: StepSizes
    most_rows: int
    sampled_rows: int
    gathers: bool
    run: Callable[[Iterable[StepLayout], Decoder], None]

    @property
    def ran_before(self) -> bool:
        """Whether this process has: then there is nearly nothing left to do."""
        return self._name() in _run_before

    def at_once(self) -> None:
        """All pieces, one after the other."""
        for piece in self.pieces():
            if piece.waits_for is not None:
                piece.waits_for.wait()

    def pieces(self) -> Iterator[Piece]:
        """Have the kernels compiled by other processes, meanwhile find the fastest products of
        decode steps, for graphs to hold on to, then run every kind of step on empty rows.

        Nothing is left to wait for then by a request. Neither the cache nor what steps have
        sampled is touched.
        """
        device, name = self.decoder.device, self._name()
        known = KnownSteps(device_name(device))
        is_known = device.type != "cuda" or name in _run_before or name in known
        compiling = Compiling(None, 0) if is_known else have_compiled(self.kernels())
        yield Piece("compiling kernels")
        for layers in self._by_shape():
            for rows in self.sizes.decode_rows:
                choose_algorithms(layers, [rows])
                yield Piece("timing products")
        while compiling.missing:
            yield Piece(f"compiling kernels, {compiling.missing} left", compiling)
        if not is_known:
            known.add(name)
        kinds = list(self._kinds_of_steps())
        if name in _run_before:
            # All kernels are loaded; whether there is memory for the largest is seen here still.
            kinds = [kind for kind in kinds if kind.rows == self.most_rows]
        for kind in kinds:
            self.run([kind], self.decoder)
            yield Piece("running kernels once")
        _run_before.add(name)

    @torch.inference_mode()
    def kernels(self) -> list[KernelWanted]:
        """What all kinds of steps launch that this process has not compiled yet."""
        if self.decoder.device.type != "cuda":
            return []
        with noted() as kernels:
            self.launch_all()
        return kernels

    @torch.inference_mode()
    def launch_all(self) -> None:
        """Every kind of step through one layer of each kind: whatever is ever launched, once."""
        self.run(self._kinds_of_steps(), self.decoder.of_distinct_layers())

    def _name(self) -> str:
        """All that decides which kernels the steps launch, in few letters."""
        decoder = self.decoder
        parts = (decoder.config, decoder.precision, self.sizes, self.kv_dtype)
        return sha256(repr((parts, version("prodtop"))).encode()).hexdigest()[:16]

    def _linears(self) -> list[Linear]:
        return [*self.decoder.projections(), self.decoder.head]

    def _by_shape(self) -> list[list[Linear]]:
        """Those of one shape together: one choice is for all of them."""
        by_shape: dict[tuple[torch.Size, ...], list[Linear]] = {}
        for linear in self._linears():
            shapes = tuple(tensor.shape for tensor in linear.tensors())
            by_shape.setdefault(shapes, []).append(linear)
        return list(by_shape.values())

    def _kinds_of_steps(self) -> Iterator[StepLayout]:
        """Decode steps of each size, and prefill steps that differ in their kernels.

        Mixed steps have no others: where a step's fields lie, how many sequences there are and how
        wide their tables changes no kernel. Drafts make all rows of a small step sampled ones.
        """
        for rows in self.sizes.decode_rows:
            yield self.sizes.decode(rows)
        most_rows, width = self.most_rows, min(self.sizes.width, TABLE_STEP)
        for rows in sorted(
            {*rows_to_warm_up(self._linears(), self.decoder.dtype, most_rows), most_rows}
        ):
            sampled = min(rows, self.sampled_rows) if rows <= MOST_DENSE_ROWS else 1
            yield StepLayout(rows, 1, 0, sampled, width, tiles=1)
        if self.gathers:
            yield StepLayout(most_rows, 1, 0, 1, width, tiles=1, key_tiles=1)
