"""Building a step's input for the device from the scheduler's chunks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..kernels.attention.gather_plan import PrefillTiles
from ..ops.step_layout import HostStep, StepLayout
from .kv_cache import BLOCK_TOKENS
from .request_table import RequestTable
from .sampler import noise_keys
from .step_plan import Chunk

TileLister = Callable[[Sequence[int], Sequence[int], bool], PrefillTiles]
"""From the query and sequence lengths of prefill chunks to their tiles; whether keys may be
gathered."""

TABLE_STEP = 16
"""Block tables of mixed steps are a multiple of this wide: few different strides."""


Sizes = Callable[[StepLayout], StepLayout | None]
"""From a step's own layout to the one that it is padded to; `None` for one that stays as it is."""


@dataclass(frozen=True, slots=True)
class BuiltStep:
    """A step's chunks in the order of its rows: decode rows, then prefill chunks.

    `sampled` are those that a token is sampled for, in the order of the tokens; a chunk with drafts
    stands there once more for each of them. `padded`: the layout is one of a few sizes, most of
    them larger than the step. `fill` writes the step's input, int32 `[layout.words]`.
    """

    chunks: list[Chunk]
    sampled: list[Chunk]
    layout: StepLayout
    padded: bool
    fill: Callable[[NDArray[np.int32]], None]

    def first_rows(self) -> list[int]:
        """The first row of each chunk: those of prefill chunks come behind the idle decode rows."""
        rows, prefill = [], self.layout.decode
        for place, chunk in enumerate(self.chunks):
            rows.append(place if chunk.num_tokens == 1 else prefill)
            prefill += 0 if chunk.num_tokens == 1 else chunk.num_tokens
        return rows


class StepBuilder:
    """Builds steps for up to `sequences` sequences of up to `width` KV blocks each.

    `carried`, from the runner: by request id, where among the tokens of the step before, still on
    the device, a request's newest one is.
    """

    def __init__(self, sequences: int, width: int, list_tiles: TileLister) -> None:
        self._table = RequestTable(sequences, width)
        self._width = width
        self._list_tiles = list_tiles

    def decode(
        self, chunks: Sequence[Chunk], carried: Mapping[int, int], layout: StepLayout
    ) -> BuiltStep:
        """A step of rows of one token, padded to a `layout` of such rows. Each is sampled."""
        ordered = _longest_first(chunks)

        def fill(words: NDArray[np.int32]) -> None:
            step = HostStep.empty(words, layout)
            indices, count = self._table.indices(ordered), len(ordered)
            self._fill_decode(step, ordered, indices, carried)
            self._fill_sampling(step, indices, step.positions[:count].astype(np.int64) + 1)
            step.seq_lens[:count] = step.positions[:count] + 1
            np.take(self._table.blocks, indices, axis=0, out=step.block_table[:count], mode="clip")
            step.sampled_rows[:] = np.arange(layout.sampled)

        return BuiltStep(ordered, ordered, layout, True, fill)

    def mixed(
        self,
        chunks: Sequence[Chunk],
        carried: Mapping[int, int],
        sizes: Sizes | None = None,
    ) -> BuiltStep:
        """A step of decode rows and prefill chunks, padded to one of `sizes` where one fits."""
        decode = _longest_first([chunk for chunk in chunks if chunk.num_tokens == 1])
        prefill = [chunk for chunk in chunks if chunk.num_tokens > 1]
        ordered = decode + prefill
        lengths = np.array([chunk.num_tokens for chunk in ordered], dtype=np.int64)
        ends = np.array([chunk.start for chunk in ordered], dtype=np.int64) + lengths
        counts = np.array(
            [1 + len(chunk.drafts) if chunk.samples else 0 for chunk in ordered], dtype=np.int64
        )
        places = np.repeat(np.arange(len(ordered)), counts)
        # How many drafts of its chunk come after a sampled row.
        remaining = np.repeat(np.cumsum(counts), counts) - np.arange(len(places)) - 1
        sampled = [ordered[place] for place in places.tolist()]
        widest = -(-int(ends.max()) // BLOCK_TOKENS)
        exact = StepLayout(
            rows=int(lengths.sum()),
            sequences=len(ordered),
            decode=len(decode),
            sampled=len(sampled),
            width=min(-(-widest // TABLE_STEP) * TABLE_STEP, self._width),
        )
        size = None if sizes is None else sizes(exact)
        # A padded step is captured with a grid of its own size, and small: it reads the paged keys.
        cut = self._list_tiles(
            lengths[len(decode) :].tolist(), ends[len(decode) :].tolist(), size is None
        )
        layout = size or replace(exact, tiles=len(cut.tiles), key_tiles=len(cut.key_tiles))
        # Prefill chunks begin behind the idle decode rows.
        idle = layout.decode - len(decode)
        last_rows = np.cumsum(lengths) - 1
        last_rows[len(decode) :] += idle
        sequences = np.arange(len(ordered))
        sequences[len(decode) :] += idle

        def fill(words: NDArray[np.int32]) -> None:
            step = HostStep.empty(words, layout)
            indices = self._table.indices(ordered)
            self._fill_decode(step, decode, indices[: len(decode)], carried)
            self._fill_prefill(step, prefill, indices[len(decode) :], layout.decode)
            self._fill_sampling(step, indices[places], ends[places] - remaining)
            step.sampled_rows[: len(sampled)] = last_rows[places] - remaining
            step.seq_lens[sequences] = ends
            starts = np.cumsum(lengths[len(decode) :])
            step.query_starts[1 : len(prefill) + 1] = starts
            step.query_starts[len(prefill) + 1 :] = starts[-1] if prefill else 0
            step.tiles[: len(cut.tiles)] = cut.tiles
            step.key_tiles[: len(cut.key_tiles)] = cut.key_tiles
            step.key_starts[: len(cut.key_starts)] = cut.key_starts
            step.block_table[sequences] = self._table.blocks[indices, : layout.width]

        return BuiltStep(ordered, sampled, layout, size is not None, fill)

    def _fill_decode(
        self,
        step: HostStep,
        chunks: Sequence[Chunk],
        indices: NDArray[np.int64],
        carried: Mapping[int, int],
    ) -> None:
        tokens, sources = [], []
        for chunk in chunks:
            request = chunk.request
            if chunk.start < len(request.tokens):
                tokens.append(request.tokens[chunk.start])
                sources.append(-1)
            else:
                tokens.append(0)
                sources.append(carried[request.request_id])
        count = len(chunks)
        positions = np.array([chunk.start for chunk in chunks], dtype=np.int64)
        step.tokens[:count] = tokens
        step.carried[:count] = sources
        step.positions[:count] = positions
        step.slots[:count] = self._kv_slots(indices, positions)

    def _fill_prefill(
        self, step: HostStep, chunks: Sequence[Chunk], indices: NDArray[np.int64], first: int
    ) -> None:
        for chunk, index in zip(chunks, indices, strict=True):
            end = chunk.start + chunk.num_tokens
            rows = slice(first, first + chunk.num_tokens)
            positions = np.arange(chunk.start, end)
            step.tokens[rows] = chunk.token_ids()
            step.positions[rows] = positions
            step.slots[rows] = self._kv_slots(index, positions)
            first = rows.stop

    def _fill_sampling(
        self, step: HostStep, indices: NDArray[np.int64], ends: NDArray[np.int64]
    ) -> None:
        """The settings of the rows that sample; `ends` are the positions of the sampled tokens."""
        table, count = self._table, len(indices)
        places = ends - table.prompt_tokens[indices]
        step.keys[:count] = noise_keys(table.noise_seed[indices], places)
        step.temperature[:count] = table.temperature[indices]
        step.top_p[:count] = table.top_p[indices]
        step.top_k[:count] = table.top_k[indices]

    def _kv_slots(
        self, indices: NDArray[np.int64] | np.int64, positions: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        blocks = self._table.blocks[indices, positions // BLOCK_TOKENS].astype(np.int64)
        kv_slots: NDArray[np.int64] = blocks * BLOCK_TOKENS + positions % BLOCK_TOKENS
        return kv_slots


def _longest_first(chunks: Sequence[Chunk]) -> list[Chunk]:
    """Decode rows in the order in which attention should start on them.

    The longest sequences first (Graham 1969): started last, one of them would keep the device
    waiting for a few programs.
    """
    return sorted(chunks, key=_negative_start)


def _negative_start(chunk: Chunk) -> int:
    return -chunk.start
