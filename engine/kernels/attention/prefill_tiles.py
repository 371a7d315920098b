"""How prefill attention is cut into programs: the tile of a GPU, and a step's list of tiles.

The host lists the tiles, longest first, so that no program is empty and the last ones to run are
short.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import triton
from numpy.typing import NDArray

from ..common.gpu_limits import GpuLimits
from .gather_plan import KEY_TILE, can_gather

_WIDE_HEADS_BYTES = 144 << 10
"""Shared memory of the tile for heads of 256 elements: queries, keys, values and weights."""
_GATHERED_BYTES = 200 << 10
"""Shared memory of the GPUs for which the tiles over gathered keys are made."""


@dataclass(frozen=True, slots=True)
class PrefillTile:
    """How a program works: rows (queries times heads), keys a tile, warps, tiles in flight.

    `registers` bounds those of a thread, so that more programs are resident; `None`: as many as the
    compiler wants.
    """

    rows: int
    keys: int
    warps: int
    stages: int
    registers: int | None = None

    def queries(self, group: int) -> int:
        """Queries a tile holds where `group` query heads share a KV head."""
        return self.rows // group


def prefill_tile(head_dim: int, group: int, element_bytes: int, limits: GpuLimits) -> PrefillTile:
    """The tile for a head size, query heads per KV head, the cache's element size and a GPU."""
    widest = triton.next_power_of_2(group)
    if element_bytes > 2:
        return PrefillTile(rows=max(32, widest), keys=32, warps=4, stages=1)
    if head_dim > 128:
        if limits.shared_bytes < _WIDE_HEADS_BYTES:
            return PrefillTile(rows=max(64, widest), keys=32, warps=4, stages=2)
        return PrefillTile(rows=max(128, widest), keys=64, warps=8, stages=2)
    if element_bytes == 1:
        return PrefillTile(rows=max(128, widest), keys=128, warps=8, stages=2)
    return PrefillTile(rows=max(64, widest), keys=64, warps=4, stages=2)


def gathered_tile(
    head_dim: int, group: int, element_bytes: int, limits: GpuLimits
) -> PrefillTile | None:
    """The tile over gathered keys of `element_bytes`; `None` where they are not to be gathered."""
    fits = limits.bulk_tensors and limits.shared_bytes >= _GATHERED_BYTES
    if not fits or element_bytes != 2 or not can_gather(head_dim):
        return None
    widest = triton.next_power_of_2(group)
    if head_dim > 128:
        return PrefillTile(rows=max(128, widest), keys=KEY_TILE, warps=8, stages=2)
    return PrefillTile(rows=max(64, widest), keys=KEY_TILE, warps=4, stages=3)


def list_tiles(
    query_lens: Sequence[int], seq_lens: Sequence[int], queries: int
) -> NDArray[np.int32]:
    """A step's tiles, `[tiles, 2]`: a sequence, and the first of the tile's `queries` in its chunk.

    `seq_lens` count a sequence's keys, its chunk's included. Tiles with most keys come first.
    """
    tiles = [
        (seq_len - query_len + first, sequence, first)
        for sequence, (query_len, seq_len) in enumerate(zip(query_lens, seq_lens, strict=True))
        for first in range(0, query_len, queries)
    ]
    tiles.sort(reverse=True)
    return np.array([tile[1:] for tile in tiles], dtype=np.int32).reshape(-1, 2)
