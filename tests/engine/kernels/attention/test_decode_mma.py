"""The decode kernel of few sequences against `rotate_and_store` and attention in float64."""

from collections.abc import Sequence

import pytest
import torch
from decode_step import DecodeStep, plan_of
from hypothesis import given, settings
from hypothesis import strategies as st
from paged_scene import EPSILON, Shape
from prodtop.engine.kernels.attention.decode_plan import MmaTile, has_mma_kernel

BF16 = torch.bfloat16
SMALL_TILE = MmaTile(warps=2, tiles=1, split_keys=32)


def check(
    shape: Shape,
    seq_lens: Sequence[int],
    splits: int = 1,
    tile: MmaTile = SMALL_TILE,
    *,
    normed: bool = False,
    seed: int = 0,
) -> None:
    assert has_mma_kernel(BF16, shape.group, shape.head_dim)
    step = DecodeStep(shape, seq_lens, normed=normed, seed=seed)
    step.check(plan_of(shape, len(seq_lens), splits, tile))


@settings(deadline=None, max_examples=12)
@given(
    seq_lens=st.lists(st.integers(0, 150), min_size=1, max_size=2),
    group=st.sampled_from([1, 2, 4, 7, 8]),
    splits=st.sampled_from([1, 2, 4]),
    window=st.sampled_from([0, 1, 20, 70]),
    tile=st.sampled_from([SMALL_TILE, MmaTile(1, 2, 32), MmaTile(1, 1, 48)]),
    normed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_ragged_batches(
    seq_lens: list[int],
    group: int,
    splits: int,
    window: int,
    tile: MmaTile,
    normed: bool,
    seed: int,
) -> None:
    shape = Shape(1, group, 64, window, dtype=BF16)
    check(shape, seq_lens, splits, tile, normed=normed, seed=seed)


def test_lengths_about_a_tile_and_a_step() -> None:
    check(Shape(1, 2, 64, dtype=BF16), [0, 1, 2, 15, 16, 17, 18, 31, 32, 33, 34, 64, 65, 66])


@pytest.mark.parametrize(
    "shape",
    [
        Shape(2, 4, 128, dtype=BF16),
        Shape(2, 3, 256, dtype=BF16),
        Shape(2, 8, 64, softcap=5.0, dtype=BF16),
        Shape(1, 7, 64, window=33, softcap=5.0, dtype=BF16),
    ],
    ids=str,
)
@pytest.mark.parametrize("splits", [1, 2])
def test_shapes(shape: Shape, splits: int) -> None:
    check(shape, [70, 0], splits, normed=splits == 1)


def test_four_warps() -> None:
    check(Shape(1, 4, 128, dtype=BF16), [150], tile=MmaTile(4, 1, 64), normed=True)


def test_a_token_without_a_slot_is_attended_to_and_not_stored() -> None:
    step = DecodeStep(Shape(1, 2, 64, dtype=BF16), [20])
    expected, _ = step.expected()
    step.slots.fill_(-1)
    kv = step.scene.kv_blocks.clone()
    out = step.run(plan_of(step.shape, 1, 1, SMALL_TILE), kv)
    assert float((out.double() - expected).abs().max()) < EPSILON[BF16]
    torch.testing.assert_close(kv, step.scene.kv_blocks, rtol=0, atol=0, equal_nan=True)


def test_what_nobody_wrote_is_not_read() -> None:
    """The table past a sequence's end may hold anything."""
    step = DecodeStep(Shape(1, 2, 64, dtype=BF16), [5, 49])
    outputs = []
    for _ in range(2):
        plan = plan_of(step.shape, 2, 2, SMALL_TILE)
        outputs.append(step.run(plan, step.scene.kv_blocks))
        step.scene.block_table[0, 1:] = 1 << 30
        step.scene.block_table[1, 4:] = -1
    assert torch.equal(*outputs)


def test_a_plan_serves_layer_after_layer() -> None:
    shape = Shape(1, 2, 64, dtype=BF16)
    shared = plan_of(shape, 2, 4, SMALL_TILE)
    for seed in range(2):
        DecodeStep(shape, [100, 17], seed=seed).check(shared)


def test_a_split_is_never_shorter_than_the_tile_says() -> None:
    """So that short sequences are not merged from many: theirs is one program's result."""
    shape = Shape(1, 2, 64, dtype=BF16)
    plan = plan_of(shape, 2, 4, MmaTile(2, 1, 64))
    DecodeStep(shape, [64, 40]).check(plan)
    assert plan.partials.isnan().all(), "nothing was split"
    with pytest.raises(ValueError, match="split"):
        MmaTile(warps=4, tiles=2, split_keys=64)


@pytest.mark.parametrize(
    ("dtype", "group", "head_dim"),
    [
        (torch.float16, 4, 128),
        (torch.float8_e4m3fn, 4, 128),
        (BF16, 9, 128),
        (BF16, 4, 96),
    ],
)
def test_other_shapes_have_no_kernel(dtype: torch.dtype, group: int, head_dim: int) -> None:
    assert not has_mma_kernel(dtype, group, head_dim)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("shape", "seq_lens"),
    [
        (Shape(8, 4, 128, dtype=BF16), [300]),
        (Shape(8, 4, 128, dtype=BF16), [1, 127, 128, 129, 256, 257, 258, 513, 1500]),
        (Shape(8, 2, 128, dtype=BF16), [300, 0, 1400]),
        (Shape(2, 7, 64, dtype=BF16), [299, 1200]),
        (Shape(4, 2, 256, window=512, softcap=30.0, dtype=BF16), [1500, 400]),
    ],
    ids=str,
)
@pytest.mark.parametrize("splits", [1, 4])
@pytest.mark.parametrize(
    "tile",
    [MmaTile(8, 3, 384), MmaTile(8, 2, 512), MmaTile(4, 2, 128), MmaTile(16, 1, 256)],
    ids=str,
)
def test_shapes_that_are_served(
    shape: Shape, seq_lens: list[int], splits: int, tile: MmaTile
) -> None:
    if shape.head_dim == 256:
        tile = MmaTile(min(tile.warps, 8), 1, tile.split_keys)
    check(shape, seq_lens, splits, tile, normed=shape.group == 2)
