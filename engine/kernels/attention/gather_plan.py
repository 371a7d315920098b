"""When a prefill step gathers its keys and values into contiguous memory, and where they lie there.

The paged cache has a sequence's keys in blocks, anywhere. Its tiles cost an address for every 16
bytes; contiguous keys are brought by the copy engine, tile by tile (TMA), and attention takes a
fifth less time. The copy pays where many queries read each key. Pure: no device is asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KEY_TILE = 64
"""Keys that attention loads at a time: a sequence's gathered keys are padded to a multiple."""

_MOST_BYTES = 512 << 20
"""Scratch memory: 131,072 tokens of 8 KV heads of 128 elements; 1/64 of 32 GiB."""
_PADDED_SEQUENCES = 8
_ELEMENT_BYTES = 2
"""Of gathered keys, bf16 or fp16: an fp8 cache is widened."""

_PAGED_FLOP_S = 390e12
_SAVED_SHARE = 0.2
"""Measured on an H200 at 32 heads over 8 of 128 elements: 405 and 517 TFLOP/s for 8,000 queries
over 8,000 keys, paged and contiguous, 385 and 496 for 2,048 over 8,192."""
_COPY_BYTES_S = 4e12
_LAUNCH_S = 5e-6


@dataclass(frozen=True, slots=True)
class PrefillTiles:
    """How a step's prefill chunks are cut up, int32.

    `tiles` `[tiles, 2]` are those of `list_tiles`. Where keys are gathered, tile `t` of the
    scratch, `KEY_TILE` rows, holds keys of sequence `key_tiles[t]`, and the first key of sequence
    `s` is in row `key_starts[s]`; both are empty where they are not.
    """

    tiles: NDArray[np.int32]
    key_tiles: NDArray[np.int32]
    key_starts: NDArray[np.int32]

    @classmethod
    def paged(cls, tiles: NDArray[np.int32]) -> "PrefillTiles":
        """Tiles whose keys are read from the paged cache."""
        none = np.empty(0, dtype=np.int32)
        return cls(tiles, none, none)

    @classmethod
    def gathered(cls, tiles: NDArray[np.int32], seq_lens: Sequence[int]) -> "PrefillTiles":
        """Tiles whose keys, `seq_lens` of each sequence, lie one sequence after the other."""
        counts = np.array([_tiles(length) for length in seq_lens], dtype=np.int64)
        sequences = np.repeat(np.arange(len(counts)), counts)
        starts = np.cumsum(counts) - counts
        return cls(tiles, sequences.astype(np.int32), (KEY_TILE * starts).astype(np.int32))


@dataclass(frozen=True, slots=True)
class GatherRule:
    """Whether gathering pays, for a model's heads and the largest of its windows.

    `window` is 0 where a layer sees all keys; `scratch_tokens` is what there is room for.
    """

    heads: int
    kv_heads: int
    head_dim: int
    window: int
    scratch_tokens: int

    def pays(self, query_lens: Sequence[int], seq_lens: Sequence[int]) -> bool:
        """Whether attention of such chunks gains more than the copy takes, and there is room.

        `seq_lens` count a sequence's keys, its chunk's included.
        """
        if KEY_TILE * sum(map(_tiles, seq_lens)) > self.scratch_tokens:
            return False
        chunks = list(zip(query_lens, seq_lens, strict=True))
        pairs = sum(
            _pairs(length, self.window) - _pairs(length - count, self.window)
            for count, length in chunks
        )
        keys = sum(min(length, count + self.window) if self.window else length
                   for count, length in chunks)  # fmt: skip
        flops = 4 * self.heads * self.head_dim * pairs
        copied_bytes = 2 * keys * token_bytes(self.kv_heads, self.head_dim)
        saved_s = _SAVED_SHARE * flops / _PAGED_FLOP_S
        return saved_s > _LAUNCH_S + copied_bytes / _COPY_BYTES_S


def _tiles(keys: int) -> int:
    return -(-keys // KEY_TILE)


def _pairs(tokens: int, window: int) -> int:
    """Keys that the first `tokens` queries of a sequence see in all."""
    ramp = min(tokens, window) if window else tokens
    return ramp * (ramp + 1) // 2 + (tokens - ramp) * window


def token_bytes(kv_heads: int, head_dim: int) -> int:
    """Bytes of a token's gathered keys and values, of one layer."""
    return 2 * kv_heads * head_dim * _ELEMENT_BYTES


def scratch_tokens(context_tokens: int, token_budget: int, kv_heads: int, head_dim: int) -> int:
    """Tokens that the scratch memory has room for, a multiple of `KEY_TILE`; 0 where none is made.

    Enough for a sequence at its full length and for those that begin in the same step, as far as
    memory is bounded. Longer steps read the paged cache.
    """
    if not can_gather(head_dim):
        return 0
    wanted = _tiles(context_tokens + token_budget) + _PADDED_SEQUENCES
    return KEY_TILE * min(wanted, _MOST_BYTES // token_bytes(kv_heads, head_dim) // KEY_TILE)


def scratch_bytes(context_tokens: int, token_budget: int, kv_heads: int, head_dim: int) -> int:
    """Bytes of that memory, which every layer uses in turn."""
    tokens = scratch_tokens(context_tokens, token_budget, kv_heads, head_dim)
    return tokens * token_bytes(kv_heads, head_dim)


def can_gather(head_dim: int) -> bool:
    """Whether there is a kernel for heads of this size."""
    return head_dim in (64, 128, 256)
