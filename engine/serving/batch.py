"""Turning a step's plan into tensors: rows, KV slots, and attention groups of equal width."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray

from ..ops.torch_attention import AttentionGroup
from ..ops.torch_ops import StepInput
from .kv_cache import BLOCK_TOKENS
from .step_plan import Chunk

Indices = NDArray[np.int64]

_LARGEST_PADDING = 2.0
"""A prefill group is split where padding would make it this many times its real rows."""


@dataclass(frozen=True, slots=True)
class GroupBounds:
    """What a group may take at most: a step's memory then grows with its rows alone.

    `elements` are those of the group's mask, and of the keys and values that it reads, of which a
    token has `kv_elements` in a layer.
    """

    elements: int
    kv_elements: int


@dataclass(frozen=True, slots=True)
class _Queries:
    """Some of a sequence's tokens, from `start` on: a chunk, or a piece of one."""

    block_ids: list[int]
    start: int
    num_tokens: int

    @classmethod
    def of(cls, chunk: Chunk) -> "_Queries":
        return cls(chunk.request.block_ids, chunk.start, chunk.num_tokens)

    @property
    def seen(self) -> int:
        """How many tokens its last one sees, itself included."""
        return self.start + self.num_tokens


@dataclass(frozen=True, slots=True)
class Batch:
    """A step ready to run. `chunks` are in the order of its rows.

    `sampled_rows` are the rows whose hidden state gives a next token, and `sampled` their chunks:
    those that reach their request's newest token, once more for each draft after it. `offsets` are
    how many drafts stand before the token that a row gives, where there are any.
    """

    step: StepInput
    chunks: list[Chunk]
    sampled: list[Chunk]
    sampled_rows: torch.Tensor
    offsets: list[int] | None

    def first_rows(self) -> list[int]:
        """The first row of each chunk."""
        lengths = (chunk.num_tokens for chunk in self.chunks)
        return list(accumulate(lengths, initial=0))[:-1]


class BatchBuilder:
    """Builds batches for one decoder's shape.

    `heads_per_kv` query heads share a KV head. `windows` are the sliding windows, in tokens, that
    some of its layers see through. With `bounds` large groups are cut into several.
    """

    def __init__(
        self,
        heads_per_kv: int,
        device: torch.device,
        dtype: torch.dtype,
        windows: Collection[int] = (),
        bounds: GroupBounds | None = None,
    ) -> None:
        self._heads_per_kv = heads_per_kv
        self._bounds = bounds
        self._windows = windows
        self._device = device
        self._dtype = dtype

    def build(self, chunks: Sequence[Chunk]) -> Batch:
        """Order the chunks (decode rows, then prefill by length) and lay out their tensors."""
        decode = [chunk for chunk in chunks if chunk.num_tokens == 1]
        prefill = sorted(
            (chunk for chunk in chunks if chunk.num_tokens > 1), key=lambda c: c.num_tokens
        )
        ordered = decode + prefill
        groups = self._groups([_Queries.of(chunk) for chunk in ordered], len(decode))
        tokens, positions, slots = _rows(decode, prefill)
        lasts = np.cumsum([chunk.num_tokens for chunk in ordered]) - 1
        sampled = [
            (chunk, int(last) - len(chunk.drafts) + offset, offset)
            for chunk, last in zip(ordered, lasts, strict=True)
            if chunk.samples
            for offset in range(1 + len(chunk.drafts))
        ]
        offsets = [offset for _, _, offset in sampled]
        step = StepInput(self._tensor(tokens), self._tensor(positions), self._tensor(slots), groups)
        rows = np.array([row for _, row, _ in sampled], dtype=np.int64)
        return Batch(
            step,
            ordered,
            [chunk for chunk, _, _ in sampled],
            self._tensor(rows),
            offsets if any(offsets) else None,
        )

    def _groups(self, queries: list[_Queries], decode: int) -> list[AttentionGroup]:
        """The first `decode` have one token each, the others rise in length."""
        groups, first = [], 0
        for part in self._within_bounds(queries[:decode]):
            groups.append(self._decode_group(part, first))
            first += len(part)
        for same in _split_by_padding(self._pieces(queries[decode:])):
            for part in self._within_bounds(same):
                groups.append(self._prefill_group(part, first))
                first += sum(each.num_tokens for each in part)
        return groups

    def _pieces(self, queries: list[_Queries]) -> list[_Queries]:
        """Each cut into pieces whose mask stays within the bounds, all in their order."""
        if self._bounds is None:
            return queries
        pieces = []
        for each in queries:
            most = max(self._bounds.elements // (_padded(each.seen) * self._heads_per_kv), 1)
            for start in range(each.start, each.seen, most):
                count = min(most, each.seen - start)
                pieces.append(_Queries(each.block_ids, start, count))
        return pieces

    def _within_bounds(self, queries: list[_Queries]) -> Iterator[list[_Queries]]:
        """Groups of `queries` in their order, as large as the bounds allow; of one at least."""
        part: list[_Queries] = []
        keys = width = 0
        for each in queries:
            keys, width = max(keys, _padded(each.seen)), max(width, each.num_tokens)
            if part and not self._fits(len(part) + 1, keys, width):
                yield part
                part, keys, width = [], _padded(each.seen), each.num_tokens
            part.append(each)
        if part:
            yield part

    def _fits(self, sequences: int, keys: int, width: int) -> bool:
        if self._bounds is None:
            return True
        a_key = max(width * self._heads_per_kv, self._bounds.kv_elements)
        return sequences * keys * a_key <= self._bounds.elements

    def _decode_group(self, chunks: list[_Queries], first: int) -> AttentionGroup:
        seen = np.array([chunk.seen for chunk in chunks], dtype=np.int64)
        table = _block_table(chunks, seen)
        keys = np.arange(table.shape[1] * BLOCK_TOKENS)
        hidden = keys >= seen[:, None]
        return AttentionGroup(
            sequences=len(chunks),
            queries=1,
            first=first,
            rows=None,
            block_table=self._tensor(table.reshape(-1)),
            mask=self._mask(hidden[:, None, None, :]),
            scatter=None,
            windowed={
                window: self._mask((hidden | (keys < seen[:, None] - window))[:, None, None, :])
                for window in self._windows
            },
        )

    def _prefill_group(self, chunks: list[_Queries], first: int) -> AttentionGroup:
        lengths = np.array([chunk.num_tokens for chunk in chunks], dtype=np.int64)
        starts = np.array([chunk.start for chunk in chunks], dtype=np.int64)
        width = int(lengths.max())
        table = _block_table(chunks, starts + lengths)
        query = np.arange(width)
        positions = starts[:, None] + query
        positions = np.repeat(positions, self._heads_per_kv, axis=1)[:, :, None]
        keys = np.arange(table.shape[1] * BLOCK_TOKENS)
        hidden = keys > positions
        rows = scatter = None
        if int(lengths.min()) != width:
            begins = first + np.cumsum(lengths) - lengths
            rows = self._tensor(
                (begins[:, None] + np.minimum(query, lengths[:, None] - 1)).reshape(-1)
            )
            scatter = self._tensor(np.flatnonzero((query < lengths[:, None]).reshape(-1)))
        return AttentionGroup(
            sequences=len(chunks),
            queries=width,
            first=first,
            rows=rows,
            block_table=self._tensor(table.reshape(-1)),
            mask=self._mask(hidden[:, None]),
            scatter=scatter,
            windowed={
                window: self._mask((hidden | (keys <= positions - window))[:, None])
                for window in self._windows
            },
        )

    def _mask(self, hidden: NDArray[np.bool_]) -> torch.Tensor:
        flags = torch.from_numpy(hidden).to(self._device)
        mask = torch.zeros(flags.shape, device=self._device, dtype=self._dtype)
        return mask.masked_fill_(flags, float("-inf"))

    def _tensor(self, values: Indices) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device, non_blocking=True)


def _rows(decode: list[Chunk], prefill: list[Chunk]) -> tuple[Indices, Indices, Indices]:
    """Token, position and KV slot of every row; decode rows come from plain lists, one each."""
    tokens = [chunk.request.tokens[chunk.start] for chunk in decode]
    starts = [chunk.start for chunk in decode]
    slots = [
        chunk.request.block_ids[chunk.start // BLOCK_TOKENS] * BLOCK_TOKENS
        + chunk.start % BLOCK_TOKENS
        for chunk in decode
    ]
    token_parts = [np.array(tokens, dtype=np.int64)]
    position_parts = [np.array(starts, dtype=np.int64)]
    slot_parts = [np.array(slots, dtype=np.int64)]
    for chunk in prefill:
        end = chunk.start + chunk.num_tokens
        positions = np.arange(chunk.start, end)
        blocks = np.array(chunk.request.block_ids, dtype=np.int64)
        token_parts.append(np.array(chunk.token_ids(), dtype=np.int64))
        position_parts.append(positions)
        slot_parts.append(
            blocks[positions // BLOCK_TOKENS] * BLOCK_TOKENS + positions % BLOCK_TOKENS
        )
    return (
        np.concatenate(token_parts),
        np.concatenate(position_parts),
        np.concatenate(slot_parts),
    )


def _padded(tokens: int) -> int:
    """The tokens of whole blocks."""
    return -(-tokens // BLOCK_TOKENS) * BLOCK_TOKENS


def _block_table(chunks: list[_Queries], seen_tokens: Indices) -> Indices:
    """`[chunks, blocks]`: the KV blocks that each chunk reads, zero-padded."""
    needed = -(-seen_tokens // BLOCK_TOKENS)
    table = np.zeros((len(chunks), int(needed.max())), dtype=np.int64)
    for row, chunk, count in zip(table, chunks, needed, strict=True):
        row[:count] = chunk.block_ids[:count]
    return table


def _split_by_padding(chunks: list[_Queries]) -> list[list[_Queries]]:
    """Cut chunks, sorted by length but for the pieces of one, into groups whose padding stays
    bounded."""
    groups: list[list[_Queries]] = []
    real = width = 0
    for chunk in chunks:
        width = max(width, chunk.num_tokens)
        padded = (len(groups[-1]) + 1) * width if groups else 0
        if not groups or padded > _LARGEST_PADDING * (real + chunk.num_tokens):
            groups.append([])
            real, width = 0, chunk.num_tokens
        groups[-1].append(chunk)
        real += chunk.num_tokens
    return groups
