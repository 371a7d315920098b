"""Prefill attention of ragged chunks against float64 softmax, in the interpreter or on the GPU."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from paged_scene import DEVICE, EPSILON, FP8, PagedScene, Shape
from prodtop.engine.kernels.attention.gather_plan import KEY_TILE, PrefillTiles
from prodtop.engine.kernels.attention.gathered_keys import GatheredKeys
from prodtop.engine.kernels.attention.prefill_attention import prefill_attention
from prodtop.engine.kernels.attention.prefill_tiles import (
    PrefillTile,
    gathered_tile,
    list_tiles,
    prefill_tile,
)
from prodtop.engine.kernels.common.gpu_limits import gpu_limits
from torch import Tensor

SMALL_TILE = PrefillTile(rows=16, keys=16, warps=4, stages=2)
WIDE_TILE = PrefillTile(rows=16, keys=KEY_TILE, warps=4, stages=2)
Chunk = tuple[int, int]
"""Queries, and keys that lie before them."""


class Prefill:
    """Chunks of a step, packed one after the other; their keys paged, or `gathered` before."""

    def __init__(
        self,
        shape: Shape,
        chunks: Sequence[Chunk],
        tile: PrefillTile,
        seed: int = 0,
        gathered: bool = False,
    ):
        self.query_lens = [queries for queries, _ in chunks]
        self.seq_lens = [queries + before for queries, before in chunks]
        self.scene = PagedScene(shape, self.seq_lens, seed)
        self.starts = list(accumulate(self.query_lens, initial=0))
        self.q = self.scene.queries(self.starts[-1])
        self.tile = tile
        tiles = list_tiles(self.query_lens, self.seq_lens, tile.queries(shape.group))
        cut = PrefillTiles.gathered(tiles, self.seq_lens)
        self.tiles = padded(cut.tiles)
        self.key_tiles = padded(cut.key_tiles)
        self.key_starts = torch.from_numpy(cut.key_starts).to(DEVICE)
        self.query_starts = torch.tensor(self.starts, dtype=torch.int32, device=DEVICE)
        self.gathered = None
        if gathered:
            if shape.dtype is FP8 and DEVICE.type == "cuda":
                self.q = self.q.bfloat16()
            rows = KEY_TILE * len(self.key_tiles), 2, shape.kv_heads, shape.head_dim
            stale = torch.full(rows, float("nan"), dtype=self.q.dtype, device=DEVICE)
            self.gathered = GatheredKeys(stale, tile)

    def run(self) -> Tensor:
        scene, shape = self.scene, self.scene.shape
        sequences = scene.block_table, scene.seq_lens, self.query_starts
        size = len(self.q), shape.heads * shape.head_dim
        out = torch.full(size, float("nan"), dtype=self.q.dtype, device=DEVICE)
        if self.gathered is not None:
            self.gathered.gather(
                scene.kv_blocks, *sequences, self.key_tiles, self.key_starts, shape.window
            )
        return prefill_attention(
            self.q,
            scene.kv_blocks,
            *sequences,
            self.tiles,
            shape.scale,
            out=out,
            tile=self.tile,
            window=shape.window,
            softcap=shape.softcap,
            gathered=self.gathered,
            key_starts=self.key_starts,
        )

    def check(self) -> None:
        out = self.run()
        bound = max(EPSILON[self.scene.shape.dtype], EPSILON[self.q.dtype])
        for sequence, (first, last) in enumerate(pairwise(self.starts)):
            expected = self.scene.expected(sequence, self.q[first:last])
            error = float((out[first:last].double() - expected).abs().max())
            assert error < bound, f"sequence {sequence}"


def padded(rows: NDArray[np.int32]) -> Tensor:
    """With two more that are of no sequence."""
    padding = torch.full((2, *rows.shape[1:]), -1, dtype=torch.int32)
    return torch.cat((torch.from_numpy(rows), padding)).to(DEVICE)


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


@settings(deadline=None, max_examples=12)
@given(
    chunks=st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from([0, 1, 24, 63, 90])), min_size=1, max_size=3
    ),
    group=st.sampled_from([1, 4, 7]),
    window=st.sampled_from([0, 1, 18, 70]),
    seed=st.integers(0, 99),
)
def test_ragged_chunks_over_gathered_keys(
    chunks: list[Chunk], group: int, window: int, seed: int
) -> None:
    Prefill(Shape(1, group, 16, window), chunks, WIDE_TILE, seed, gathered=True).check()


@pytest.mark.parametrize(
    "shape",
    [
        Shape(2, 4, 128),
        Shape(1, 7, 64),
        Shape(1, 1, 256),
        Shape(2, 2, 64, softcap=5.0),
        Shape(2, 2, 64, window=9, softcap=5.0),
        Shape(2, 2, 64, dtype=torch.float16),
        Shape(2, 2, 64, dtype=FP8),
    ],
    ids=str,
)
def test_shapes_over_gathered_keys(shape: Shape) -> None:
    chunks = [(20, 0), (1, 130), (9, 57)]
    Prefill(shape, chunks, WIDE_TILE, gathered=True).check()


def test_gathered_keys_are_those_of_the_sequences_and_zeros() -> None:
    shape = Shape(2, 1, 16)
    prefill = Prefill(shape, [(20, 0), (3, 61), (9, 56)], WIDE_TILE, gathered=True)
    prefill.run()
    assert prefill.gathered is not None
    tiles = prefill.gathered.scratch.view(-1, KEY_TILE, 2, 2, 16)
    assert tiles[-2:].isnan().all(), "tiles of no sequence"
    held = [tiles[0, :20], tiles[1], torch.cat((tiles[2], tiles[3, :1]))]
    for sequence, (rows, length) in enumerate(zip(held, prefill.seq_lens, strict=True)):
        blocks = prefill.scene.kv_blocks[prefill.scene.block_table[sequence].long()]
        assert torch.equal(rows, blocks.flatten(0, 1)[:length])
    assert not tiles[0, 20:].any()
    assert not tiles[3, 1:].any()


def test_keys_that_no_window_reaches_are_not_gathered() -> None:
    prefill = Prefill(Shape(1, 1, 16, window=18), [(10, 190)], WIDE_TILE, gathered=True)
    prefill.run()
    assert prefill.gathered is not None
    untouched = prefill.gathered.scratch.view(-1, KEY_TILE * 32).isnan().all(dim=1)
    # The oldest query, at 190, sees from 173 on: the third tile of four.
    assert untouched.tolist() == [True, True, False, False, True, True]


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


SERVED = [
    Shape(8, 4, 128, dtype=torch.bfloat16),
    Shape(8, 4, 128, 300, dtype=torch.bfloat16),
    Shape(2, 7, 64, dtype=torch.float16),
    Shape(1, 2, 256, dtype=torch.bfloat16),
    Shape(8, 4, 128, dtype=FP8),
]


@pytest.mark.gpu
@pytest.mark.parametrize("shape", SERVED, ids=str)
def test_shapes_that_are_served(shape: Shape) -> None:
    tile = prefill_tile(shape.head_dim, shape.group, shape.dtype.itemsize, gpu_limits(DEVICE))
    Prefill(shape, [(1024, 0), (1, 700), (300, 512), (77, 3)], tile).check()


@pytest.mark.gpu
@pytest.mark.parametrize("shape", SERVED, ids=str)
def test_shapes_that_are_served_from_gathered_keys(shape: Shape) -> None:
    """Checked, equal to the paged kernel's within rounding, and the same from a captured graph."""
    limits, chunks = gpu_limits(DEVICE), [(1024, 0), (1, 700), (300, 512), (77, 3)]
    tile = gathered_tile(shape.head_dim, shape.group, 2, limits)
    if tile is None:
        pytest.skip("this GPU gathers no keys")
    gathered = Prefill(shape, chunks, tile, gathered=True)
    gathered.check()
    eager = gathered.run()
    paged_tile = prefill_tile(shape.head_dim, shape.group, shape.dtype.itemsize, limits)
    paged = Prefill(shape, chunks, paged_tile).run()
    assert float((eager - paged).double().abs().max()) < EPSILON[gathered.q.dtype]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = gathered.run()
    captured.fill_(float("nan"))
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(captured, eager)
