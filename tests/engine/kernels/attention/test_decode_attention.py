"""Split decode attention against float64 softmax, in Triton's interpreter or on the GPU."""

import pytest
import torch
from decode_step import DecodeStep, plan_of
from hypothesis import given, settings
from hypothesis import strategies as st
from paged_scene import DEVICE, FP8, Shape
from prodtop.engine.kernels.attention.decode_plan import (
    DecodeTile,
    MmaTile,
    decode_splits,
    mma_splits,
    plan_decode,
)
from prodtop.engine.kernels.common.gpu_limits import HOPPER

SMALL_TILE = DecodeTile(keys=16, warps=4, stages=2, split_keys=16)
PREFETCHING_TILE = DecodeTile(keys=16, warps=4, stages=2, split_keys=16, prefetch=True)
PAIRS_TILE = DecodeTile(keys=16, warps=4, stages=2, split_keys=16, pairs=True)
TILES = pytest.mark.parametrize("tile", [SMALL_TILE, PREFETCHING_TILE], ids=["loop", "prefetch"])


@settings(deadline=None, max_examples=20)
@given(
    seq_lens=st.lists(st.integers(0, 90), min_size=1, max_size=3),
    kv_heads=st.integers(1, 2),
    group=st.sampled_from([1, 2, 3, 7]),
    splits=st.sampled_from([1, 2, 4, 8]),
    window=st.sampled_from([0, 1, 20]),
    tile=st.sampled_from([SMALL_TILE, PREFETCHING_TILE]),
    normed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_ragged_batches(
    seq_lens: list[int],
    kv_heads: int,
    group: int,
    splits: int,
    window: int,
    tile: DecodeTile,
    normed: bool,
    seed: int,
) -> None:
    shape = Shape(kv_heads, group, 16, window)
    step = DecodeStep(shape, seq_lens, normed=normed, seed=seed)
    step.check(plan_of(shape, len(seq_lens), splits, tile))


@pytest.mark.parametrize(
    "shape",
    [
        Shape(2, 2, 80),
        Shape(1, 4, 96),
        Shape(1, 2, 256),
        Shape(1, 17, 64),
        Shape(2, 2, 64, softcap=5.0),
        Shape(2, 2, 64, window=33, softcap=5.0),
        Shape(2, 2, 64, dtype=torch.float16),
        Shape(2, 2, 64, dtype=FP8),
    ],
    ids=str,
)
@pytest.mark.parametrize("splits", [1, 4])
@TILES
def test_shapes(shape: Shape, splits: int, tile: DecodeTile) -> None:
    step = DecodeStep(shape, [40, 0, 70, 1], normed=splits == 4)
    step.check(plan_of(shape, 4, splits, tile))


@settings(deadline=None, max_examples=15)
@given(
    seq_lens=st.lists(st.integers(0, 90), min_size=1, max_size=3),
    kv_heads=st.integers(1, 2),
    group=st.sampled_from([1, 3, 4, 7]),
    splits=st.sampled_from([1, 4]),
    window=st.sampled_from([0, 20]),
    softcap=st.sampled_from([0.0, 5.0]),
    normed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_an_fp8_cache_in_pairs(
    seq_lens: list[int],
    kv_heads: int,
    group: int,
    splits: int,
    window: int,
    softcap: float,
    normed: bool,
    seed: int,
) -> None:
    shape = Shape(kv_heads, group, 32, window, softcap, FP8)
    step = DecodeStep(shape, seq_lens, normed=normed, seed=seed)
    step.check(plan_of(shape, len(seq_lens), splits, PAIRS_TILE))


@pytest.mark.parametrize("head_dim", [64, 128])
def test_heads_of_an_fp8_cache_in_pairs(head_dim: int) -> None:
    shape = Shape(2, 4, head_dim, dtype=FP8)
    DecodeStep(shape, [40, 0, 70, 1]).check(plan_of(shape, 4, 2, PAIRS_TILE))


@TILES
def test_part_of_a_head_may_be_rotated(tile: DecodeTile) -> None:
    shape = Shape(2, 2, 96)
    DecodeStep(shape, [40, 17], normed=True, rotated_pairs=12).check(plan_of(shape, 2, 2, tile))


def test_a_plan_serves_layer_after_layer() -> None:
    shape = Shape(1, 2, 16)
    shared = plan_of(shape, 2, 4, SMALL_TILE)
    for seed in range(3):
        DecodeStep(shape, [64, 17], seed=seed).check(shared)


def test_a_split_is_never_shorter_than_the_tile_says() -> None:
    """So that short sequences are not merged from many: theirs is one program's result."""
    shape = Shape(1, 2, 16)
    shared = plan_of(shape, 2, 4, DecodeTile(keys=16, warps=4, stages=2, split_keys=64))
    DecodeStep(shape, [65, 40]).check(shared)
    assert shared.partials.isnan().all(), "nothing was split"


@TILES
def test_what_nobody_wrote_is_not_read(tile: DecodeTile) -> None:
    """The table past a sequence's end may hold anything."""
    shape = Shape(1, 2, 16)
    step = DecodeStep(shape, [5, 33])
    before = step.run(plan_of(shape, 2, 2, tile), step.scene.kv_blocks)
    step.scene.block_table[0, 1:] = 1 << 30
    step.scene.block_table[1, 3:] = -1
    assert torch.equal(step.run(plan_of(shape, 2, 2, tile), step.scene.kv_blocks), before)


@pytest.mark.parametrize("pairs", [1, 2, 8, 24, 64, 128, 512, 2048])
@pytest.mark.parametrize("context_tokens", [1, 100, 4096, 131072])
@pytest.mark.parametrize("processors", [20, HOPPER.multiprocessors])
def test_splits_are_a_power_of_two_and_fewer_with_more_rows(
    pairs: int, context_tokens: int, processors: int
) -> None:
    splits = decode_splits(pairs, context_tokens, 32, processors)
    assert splits & (splits - 1) == 0
    assert decode_splits(2 * pairs, context_tokens, 32, processors) <= splits
    assert splits == 1 or (splits - 1) * 32 < 2 * context_tokens


def test_many_rows_are_split_for_the_sake_of_long_ones_only() -> None:
    assert decode_splits(256 * 8, 2048, 1024, HOPPER.multiprocessors) == 1
    assert 1 < decode_splits(256 * 8, 8192, 1024, HOPPER.multiprocessors) <= 4


@given(
    pairs=st.integers(1, 4096),
    context_tokens=st.integers(1, 1 << 18),
    split_keys=st.integers(16, 1024),
    processors=st.integers(1, 160),
)
def test_few_sequences_have_no_more_programs_than_there_are_multiprocessors(
    pairs: int, context_tokens: int, split_keys: int, processors: int
) -> None:
    splits = mma_splits(pairs, context_tokens, split_keys, processors)
    assert splits & (splits - 1) == 0
    assert splits == 1 or splits * pairs <= processors
    assert splits == 1 or (splits - 1) * split_keys < 2 * context_tokens


@pytest.mark.parametrize(("rows", "kind"), [(1, MmaTile), (8, MmaTile), (9, DecodeTile)])
def test_few_rows_have_a_kernel_of_their_own(rows: int, kind: type) -> None:
    bf16, fp16 = (
        plan_decode(rows, 32, 8, 128, 4096, dtype, DEVICE)
        for dtype in (torch.bfloat16, torch.float16)
    )
    assert isinstance(bf16.tile, kind)
    assert isinstance(fp16.tile, DecodeTile)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("shape", "rows", "longest"),
    [
        (Shape(8, 4, 128, dtype=torch.bfloat16), 1, 400),
        (Shape(8, 4, 128, dtype=torch.bfloat16), 8, 3000),
        (Shape(8, 4, 128, dtype=torch.bfloat16), 64, 1500),
        (Shape(8, 4, 128, dtype=torch.bfloat16), 256, 1900),
        (Shape(8, 2, 128, dtype=torch.bfloat16), 256, 900),
        (Shape(8, 4, 128, dtype=torch.float16), 1, 400),
        (Shape(8, 2, 128, dtype=torch.float16), 1, 400),
        (Shape(8, 4, 128, dtype=torch.float16), 8, 3000),
        (Shape(8, 2, 128, dtype=torch.float16), 8, 3000),
        (Shape(8, 2, 128, dtype=torch.float16), 256, 900),
        (Shape(4, 7, 64, dtype=torch.bfloat16), 64, 1500),
        (Shape(2, 4, 256, window=512, dtype=torch.bfloat16), 8, 1500),
        (Shape(8, 4, 128, dtype=FP8), 256, 900),
    ],
    ids=str,
)
def test_shapes_that_are_served(shape: Shape, rows: int, longest: int) -> None:
    seq_lens = [longest - 3 * row for row in range(rows)]
    DecodeStep(shape, seq_lens, normed=shape.group == 2).check(plan_of(shape, rows))
