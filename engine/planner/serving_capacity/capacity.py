"""Serving capacity of one server under a load, and the matrix of GPU types and precisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...shape.field_errors import FieldError
from ...shape.model_shape import ModelShape
from ..cost.calibration import Calibration
from ..cost.hardware import Gpu
from ..cost.memory import GIB
from .memory import Memory, memory
from .prices import Price, usd_per_million
from .roofline import Roofline, decode_roofline
from .server import Load, Server, server
from .step import Step, decode_step, prefill_step
from .storage import Storage, cached_tokens, storage_of

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Batches whose decode speed is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Decoding at one batch, at the load's mean context. `fits`: the memory holds such a batch."""

    batch: int
    fits: bool
    roofline: Roofline
    step: Step

    @property
    def roofline_tokens_s(self) -> float:
        """Tokens per second at the vendor's bandwidth and peak: nothing is faster."""
        return self.batch / self.roofline.step_s

    @property
    def tokens_s(self) -> float:
        """Tokens per second with what engines reach."""
        return self.batch / self.step.total_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a server gives under a load; every time is an estimate.

    `batch` is the requests that run at a time: those in flight, or fewer where memory ends; 0 where
    not one fits. `prefill` computes one prompt alone, `chunk` as many as one step takes: what
    a prompt costs when others come too.
    """

    server: Server
    load: Load
    memory: Memory
    prefill: Step
    chunk: Step
    chunk_prompts: int
    running: Speed | None
    price: Price | None

    @property
    def fits(self) -> bool:
        """Whether weights, workspace and one request at full length fit."""
        return self.memory.largest_batch >= 1

    @property
    def holds_load(self) -> bool:
        """Whether all requests in flight fit at a time."""
        return self.memory.largest_batch >= self.load.requests

    @property
    def batch(self) -> int:
        """Requests that run at a time."""
        return min(self.load.requests, self.memory.largest_batch)

    @property
    def ttft_s(self) -> float:
        """Time to first token of a request that finds the server idle; disaggregated, with its
        keys and values on their way to the server that decodes."""
        return self.prefill.total_s + (self.handover_s if self.load.disaggregated else 0.0)

    @property
    def handover_s(self) -> float:
        """A prompt's keys and values from one server to the next, each GPU's over its own NIC."""
        sent = self.memory.token_bytes * cached_tokens(self.server.model, self.load.prompt_tokens)
        return sent / self.server.gpu.network_bytes_s

    @property
    def prefill_servers(self) -> float:
        """Servers alike that compute this one's prompts, in parts of one; 0 where it does so."""
        if self.tokens_s is None or not self.load.disaggregated:
            return 0.0
        return self.tokens_s / self.load.output_tokens * self.prompt_s

    @property
    def prompt_s(self) -> float:
        """What one prompt takes of the server's time while others come too."""
        return self.chunk.total_s / self.chunk_prompts

    @property
    def tpot_s(self) -> float | None:
        """Seconds per output token of a request while the load runs; `None` where nothing fits.

        A finished request makes place for a new one: each step of the batch also bears its share of
        the new prompts, `batch / output_tokens` of them, unless other servers compute them.
        """
        if self.running is None:
            return None
        prompts = self.running.batch / self.load.output_tokens * (not self.load.disaggregated)
        return self.running.step.total_s / self.load.speculation + prompts * self.prompt_s

    @property
    def tokens_s(self) -> float | None:
        """Output tokens per second under the load, prompts' time included."""
        return None if self.running is None or self.tpot_s is None else self.batch / self.tpot_s

    @property
    def usd_per_hour(self) -> float | None:
        """All GPUs of the server, and those that compute its prompts."""
        if self.price is None:
            return None
        return self.price.usd_per_hour * self.server.gpus * (1 + self.prefill_servers)

    @property
    def usd_per_million_output(self) -> float | None:
        """Cost of a million output tokens, the prompts' time in it."""
        if self.usd_per_hour is None or self.tokens_s is None:
            return None
        return usd_per_million(self.usd_per_hour, self.tokens_s)

    @property
    def usd_per_million_total(self) -> float | None:
        """Cost of a million tokens, prompt and output counted alike."""
        each = self.usd_per_million_output
        return None if each is None else each * self.load.output_tokens / self.load.context_tokens


def capacity(served: Server, load: Load, price: Price | None = None) -> Capacity:
    """What `served` gives under `load`."""
    per_gpu = memory(served, load)
    batch = min(load.requests, per_gpu.largest_batch)
    # A prompt longer than a chunk takes several steps, which are counted as one long one.
    chunk_prompts = max(1, served.engine.chunk_tokens // load.prompt_tokens)
    return Capacity(
        server=served,
        load=load,
        memory=per_gpu,
        prefill=prefill_step(served, 1, load.prompt_tokens),
        chunk=prefill_step(served, chunk_prompts, load.prompt_tokens),
        chunk_prompts=chunk_prompts,
        running=speed(served, load, batch, per_gpu) if batch else None,
        price=price,
    )


def speed(served: Server, load: Load, batch: int, per_gpu: Memory) -> Speed:
    """Decoding `batch` requests of `load`'s lengths."""
    context = load.mean_context_tokens
    return Speed(
        batch=batch,
        fits=batch <= per_gpu.largest_batch,
        roofline=decode_roofline(served, batch, context),
        step=decode_step(served, batch, context),
    )


def speeds(result: Capacity) -> list[Speed]:
    """Decoding at each of `BATCHES`, whether the memory holds it or not."""
    return [speed(result.server, result.load, batch, result.memory) for batch in BATCHES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One GPU type at one precision: its capacity, or the reason why there is none."""

    gpu: Gpu
    precision: str
    gpus: int | None
    result: Capacity | None
    reason: str | None


def matrix(
    model: ModelShape,
    gpus: Sequence[Gpu],
    storages: Sequence[Storage | str],
    load: Load,
    *,
    count: int | None = None,
    prices: Mapping[str, Price] | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
) -> list[Cell]:
    """GPU types by precisions, row by row.

    `count` GPUs each, or by default the fewest of a node (1, 2, 4, ...) that hold all requests in
    flight; where a whole node does not, the most that fit at all.
    """
    price_of = prices or {}
    stored = [storage_of(s) if isinstance(s, str) else s for s in storages]
    return [
        _cell(model, gpu, storage, load, count, price_of.get(gpu.key), calibrations)
        for gpu in gpus
        for storage in stored
    ]


def _cell(
    model: ModelShape,
    gpu: Gpu,
    storage: Storage,
    load: Load,
    count: int | None,
    price: Price | None,
    calibrations: Mapping[str, Calibration] | None,
) -> Cell:
    best: Server | None = None
    reason = ""
    # Memory alone chooses the count: speeds are worked out only for the one that is shown.
    for gpus in (count,) if count is not None else _counts(gpu):
        try:
            served = server(model, gpu, gpus, storage, calibrations=calibrations)
        except FieldError as error:
            reason = reason or error.reason
            continue
        per_gpu = memory(served, load)
        if not per_gpu.largest_batch:
            reason = _too_small(served, per_gpu)
            continue
        best = served
        if per_gpu.largest_batch >= load.requests:
            break
    return Cell(
        gpu=gpu,
        precision=storage.precision,
        gpus=None if best is None else best.gpus,
        result=None if best is None else capacity(best, load, price),
        reason=reason if best is None else None,
    )


def _counts(gpu: Gpu) -> list[int]:
    """1, 2, 4, ... up to a node, and 8 at most for the large nodes of racks."""
    return [n for n in (1, 2, 4, 8) if n <= gpu.node_gpus]


def _too_small(served: Server, per_gpu: Memory) -> str:
    need = per_gpu.used(1) / GIB
    return f"needs {need:,.1f} GiB a GPU on {served.gpus}, {per_gpu.usable / GIB:,.1f} usable"
