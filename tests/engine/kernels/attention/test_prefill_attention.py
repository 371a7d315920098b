"""Prefill attention of ragged chunks against float64 softmax, in the interpreter or on the GPU."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from paged_scene import DEVICE, EPSILON, FP8, PagedScene, Shape
from prodtop.engine.kernels.attention.prefill_attention import (
    PrefillTile,
    list_tiles,
    prefill_attention,
    prefill_tile,
)
from prodtop.engine.kernels.common.gpu_limits import gpu_limits
from torch import Tensor

SMALL_TILE = PrefillTile(rows=16, keys=16, warps=4, stages=2)
Chunk = tuple[int, int]
"""Queries, and keys that lie before them."""


class Prefill:
    """Chunks of a step, packed one after the other."""

    def __init__(self, shape: Shape, chunks: Sequence[Chunk], tile: PrefillTile, seed: int = 0):
        self.query_lens = [queries for queries, _ in chunks]
        self.seq_lens = [queries + before for queries, before in chunks]
        self.scene = PagedScene(shape, self.seq_lens, seed)
        self.starts = list(accumulate(self.query_lens, initial=0))
        self.q = self.scene.queries(self.starts[-1])
        self.tile = tile
        tiles = list_tiles(self.query_lens, self.seq_lens, tile.queries(shape.group))
        padding = torch.full((2, 2), -1, dtype=torch.int32)
        self.tiles = torch.cat((torch.from_numpy(tiles), padding)).to(DEVICE)

    def run(self) -> Tensor:
        scene, shape = self.scene, self.scene.shape
        out = torch.empty(len(self.q), shape.heads * shape.head_dim, dtype=self.q.dtype)
        return prefill_attention(
            self.q,
            scene.kv_blocks,
            scene.block_table,
            scene.seq_lens,
            torch.tensor(self.starts, dtype=torch.int32, device=DEVICE),
            self.tiles,
            shape.scale,
            out=out.to(DEVICE),
            tile=self.tile,
            window=shape.window,
            softcap=shape.softcap,
        )

    def check(self) -> None:
        out = self.run()
        for sequence, (first, last) in enumerate(pairwise(self.starts)):
            expected = self.scene.expected(sequence, self.q[first:last])
            error = float((out[first:last].double() - expected).abs().max())
            assert error < EPSILON[self.scene.shape.dtype], f"sequence {sequence}"


@settings(deadline=None, max_examples=12)
@given(
    chunks=st.lists(
        st.tuples(st.integers(1, 30), st.sampled_from([0, 1, 16, 45])), min_size=1, max_size=3
    ),
    group=st.sampled_from([1, 3, 4, 7]),
    window=st.sampled_from([0, 1, 18]),
    seed=st.integers(0, 99),
)
def test_ragged_chunks(chunks: list[Chunk], group: int, window: int, seed: int) -> None:
    Prefill(Shape(1, group, 16, window), chunks, SMALL_TILE, seed).check()


@pytest.mark.parametrize(
    "shape",
    [
        Shape(2, 2, 80),
        Shape(1, 1, 256),
        Shape(1, 16, 64),
        Shape(2, 2, 64, softcap=5.0),
        Shape(2, 2, 64, window=9, softcap=5.0),
        Shape(2, 2, 64, dtype=torch.float16),
        Shape(2, 2, 64, dtype=FP8),
    ],
    ids=str,
)
def test_shapes(shape: Shape) -> None:
    Prefill(shape, [(20, 0), (1, 30), (9, 17)], SMALL_TILE).check()


def test_no_query_sees_a_later_token() -> None:
    prefill = Prefill(Shape(1, 2, 16), [(20, 13)], SMALL_TILE)
    before = prefill.run()
    block = prefill.scene.block_table[0, 2]
    prefill.scene.kv_blocks[block, 0] += 100.0
    after = prefill.run()
    assert torch.equal(before[:19], after[:19])
    assert not torch.allclose(before[19], after[19])


@given(
    chunks=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=5),
    queries=st.integers(1, 20),
)
def test_tiles_hold_every_query_once_and_the_longest_come_first(
    chunks: list[Chunk], queries: int
) -> None:
    seq_lens = [count + before for count, before in chunks]
    tiles = list_tiles([count for count, _ in chunks], seq_lens, queries)
    covered = [
        (int(sequence), query)
        for sequence, first in tiles
        for query in range(first, min(first + queries, chunks[sequence][0]))
    ]
    assert sorted(covered) == [(s, q) for s, (count, _) in enumerate(chunks) for q in range(count)]
    keys = [chunks[sequence][1] + int(first) for sequence, first in tiles]
    assert keys == sorted(keys, reverse=True)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "shape",
    [
        Shape(8, 4, 128, dtype=torch.bfloat16),
        Shape(8, 4, 128, 300, dtype=torch.bfloat16),
        Shape(2, 7, 64, dtype=torch.float16),
        Shape(1, 2, 256, dtype=torch.bfloat16),
        Shape(8, 4, 128, dtype=FP8),
    ],
    ids=str,
)
def test_shapes_that_are_served(shape: Shape) -> None:
    tile = prefill_tile(shape.head_dim, shape.group, shape.dtype.itemsize, gpu_limits(DEVICE))
    Prefill(shape, [(1024, 0), (1, 700), (300, 512), (77, 3)], tile).check()
