"""Split decode attention against float64 softmax, in Triton's interpreter or on the GPU."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from paged_scene import DEVICE, EPSILON, FP8, PagedScene, Shape
from prodtop.engine.kernels.attention.decode_attention import (
    DecodePlan,
    DecodeTile,
    decode_attention,
    decode_splits,
    mma_splits,
    plan_decode,
)
from prodtop.engine.kernels.attention.decode_mma import MmaTile
from prodtop.engine.kernels.common.gpu_limits import HOPPER
from torch import Tensor

SMALL_TILE = DecodeTile(keys=16, warps=4, stages=2, share=16)


def plan(shape: Shape, sequences: int, splits: int, tile: DecodeTile = SMALL_TILE) -> DecodePlan:
    return plan_decode(
        sequences,
        shape.heads,
        shape.kv_heads,
        shape.head_dim,
        4096,
        DEVICE,
        splits=splits,
        tile=tile,
    )


def run(scene: PagedScene, q: Tensor, plan: DecodePlan) -> Tensor:
    shape = scene.shape
    k_scale, v_scale = shape.kv_scales
    return decode_attention(
        q,
        scene.kv_blocks,
        scene.block_table,
        scene.seq_lens,
        plan,
        shape.scale,
        window=shape.window,
        softcap=shape.softcap,
        k_scale=k_scale,
        v_scale=v_scale,
    )


def check(shape: Shape, seq_lens: Sequence[int], plan: DecodePlan, seed: int = 0) -> None:
    scene = PagedScene(shape, seq_lens, seed)
    q = scene.queries(len(seq_lens))
    out = run(scene, q, plan)
    for sequence, length in enumerate(seq_lens):
        if length == 0:
            assert not out[sequence].any(), "a padding row gets zeros"
            continue
        expected = scene.expected(sequence, q[sequence : sequence + 1])[0]
        error = float((out[sequence].double() - expected).abs().max())
        assert error < EPSILON[shape.dtype], f"sequence {sequence} of {length} keys"
    assert not plan.arrived.any(), "the next launch counts from zero"


@settings(deadline=None, max_examples=12)
@given(
    seq_lens=st.lists(st.integers(0, 90), min_size=1, max_size=3),
    kv_heads=st.integers(1, 2),
    group=st.sampled_from([1, 2, 3, 7]),
    splits=st.sampled_from([1, 2, 4, 8]),
    window=st.sampled_from([0, 1, 20]),
    seed=st.integers(0, 99),
)
def test_ragged_batches(
    seq_lens: list[int], kv_heads: int, group: int, splits: int, window: int, seed: int
) -> None:
    shape = Shape(kv_heads, group, 16, window)
    check(shape, seq_lens, plan(shape, len(seq_lens), splits), seed)


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
def test_shapes(shape: Shape, splits: int) -> None:
    check(shape, [40, 0, 70], plan(shape, 3, splits))


def test_a_plan_serves_layer_after_layer() -> None:
    shape = Shape(1, 2, 16)
    shared = plan(shape, 2, 4)
    for seed in range(3):
        check(shape, [64, 17], shared, seed)


def test_a_share_is_never_shorter_than_the_tile_says() -> None:
    """So that short sequences are not combined from many: theirs is one program's result."""
    shape = Shape(1, 2, 16)
    shared = plan(shape, 2, 4, DecodeTile(keys=16, warps=4, stages=2, share=64))
    shared.partials.fill_(float("nan"))
    check(shape, [64, 40], shared)
    assert shared.partials.isnan().all(), "nothing was split"


def test_what_nobody_wrote_is_not_read() -> None:
    """The table past a sequence's end may hold anything."""
    shape = Shape(1, 2, 16)
    scene = PagedScene(shape, [5, 33])
    q = scene.queries(2)
    before = run(scene, q, plan(shape, 2, 2))
    scene.block_table[0, 1:] = 1 << 30
    scene.block_table[1, 3:] = -1
    assert torch.equal(run(scene, q, plan(shape, 2, 2)), before)


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
    share=st.integers(16, 1024),
    processors=st.integers(1, 160),
)
def test_few_sequences_have_no_more_programs_than_there_are_multiprocessors(
    pairs: int, context_tokens: int, share: int, processors: int
) -> None:
    splits = mma_splits(pairs, context_tokens, share, processors)
    assert splits & (splits - 1) == 0
    assert splits == 1 or splits * pairs <= processors
    assert splits == 1 or (splits - 1) * share < 2 * context_tokens


@pytest.mark.parametrize(("rows", "kind"), [(1, MmaTile), (8, MmaTile), (9, DecodeTile)])
def test_few_rows_have_a_kernel_of_their_own(rows: int, kind: type) -> None:
    assert isinstance(plan_decode(rows, 32, 8, 128, 4096, DEVICE, mma=True).tile, kind)
    assert isinstance(plan_decode(rows, 32, 8, 128, 4096, DEVICE).tile, DecodeTile)


def test_a_plan_of_the_fused_step_is_for_nothing_else() -> None:
    scene = PagedScene(Shape(8, 4, 16), [3])
    fused = plan_decode(1, 32, 8, 16, 4096, DEVICE, mma=True)
    with pytest.raises(ValueError, match="fused"):
        run(scene, scene.queries(1), fused)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("shape", "rows", "longest"),
    [
        (Shape(8, 4, 128, dtype=torch.bfloat16), 1, 400),
        (Shape(8, 4, 128, dtype=torch.bfloat16), 64, 1500),
        (Shape(8, 4, 128, dtype=torch.bfloat16), 256, 1900),
        (Shape(8, 2, 128, dtype=torch.float16), 256, 900),
        (Shape(4, 7, 64, dtype=torch.bfloat16), 64, 1500),
        (Shape(2, 4, 256, window=512, dtype=torch.bfloat16), 8, 1500),
        (Shape(8, 4, 128, dtype=FP8), 256, 900),
    ],
    ids=str,
)
def test_shapes_that_are_served(shape: Shape, rows: int, longest: int) -> None:
    seq_lens = [longest - 3 * row for row in range(rows)]
    served = plan_decode(
        rows,
        shape.heads,
        shape.kv_heads,
        shape.head_dim,
        4096,
        DEVICE,
        element_bytes=shape.dtype.itemsize,
    )
    check(shape, seq_lens, served)
