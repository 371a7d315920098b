"""The fused decode step does what its two parts do, one after the other, to outputs and cache."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from paged_scene import BLOCK_TOKENS, DEVICE, EPSILON, FP8, PagedScene, Shape
from prodtop.engine.kernels.attention.decode_attention import (
    DecodeTile,
    decode_attention,
    decode_attention_fused,
    plan_decode,
)
from prodtop.engine.kernels.attention.rotary import PLAIN, RotaryOptions, rotate_and_store

LONGEST = 4096


def check(
    shape: Shape,
    seq_lens: Sequence[int],
    splits: int | None,
    tile: DecodeTile | None,
    *,
    normed: bool = False,
    rotary_dim: int | None = None,
    seed: int = 0,
) -> None:
    """A step of sequences whose last token is new; of those of length 0 it is padding."""
    scene = PagedScene(shape, seq_lens, seed)
    generator = torch.Generator().manual_seed(seed)
    rows, dtype, dim = len(seq_lens), shape.query_dtype, shape.head_dim
    width = (shape.heads + 2 * shape.kv_heads) * dim
    qkv = torch.randn(rows, width, generator=generator).to(DEVICE, dtype)
    positions = (scene.seq_lens - 1).clamp(min=0)
    blocks = scene.block_table.gather(1, (positions // BLOCK_TOKENS)[:, None].long())[:, 0]
    slots = blocks * BLOCK_TOKENS + positions % BLOCK_TOKENS
    slots = torch.where(scene.seq_lens > 0, slots, -1)
    half = (rotary_dim or dim) // 2
    angles = torch.outer(torch.arange(float(LONGEST)), 100.0 ** -(torch.arange(half) / half))
    cos, sin = angles.cos().to(DEVICE), angles.sin().to(DEVICE)
    k_scale, v_scale = shape.kv_scales
    options = PLAIN
    if normed:
        weights = (torch.rand(2, dim, generator=generator) + 0.5).to(DEVICE)
        options = RotaryOptions(weights[0], weights[1], 1e-6, k_scale, v_scale)
    elif shape.dtype is FP8:
        options = RotaryOptions(k_scale=k_scale, v_scale=v_scale)
    kv, fused_kv = scene.kv_blocks.clone(), scene.kv_blocks.clone()
    plan = plan_decode(
        rows, shape.heads, shape.kv_heads, dim, LONGEST, DEVICE, splits=splits, tile=tile
    )
    q = rotate_and_store(qkv, kv, positions, slots, cos, sin, options=options)
    q[scene.seq_lens == 0] = 0
    expected = decode_attention(
        q,
        kv,
        scene.block_table,
        scene.seq_lens,
        plan,
        shape.scale,
        window=shape.window,
        softcap=shape.softcap,
        k_scale=k_scale,
        v_scale=v_scale,
    )
    out = decode_attention_fused(
        qkv,
        fused_kv,
        scene.block_table,
        scene.seq_lens,
        slots,
        cos,
        sin,
        plan,
        shape.scale,
        options=options,
        window=shape.window,
        softcap=shape.softcap,
    )
    step = max(torch.finfo(shape.dtype).eps, 1e-6)
    torch.testing.assert_close(
        fused_kv.double(), kv.double(), rtol=2 * step, atol=1e-5, equal_nan=True
    )
    error = float((out.double() - expected.double()).abs().max())
    assert error < EPSILON[shape.dtype]
    assert not plan.arrived.any(), "the next launch counts from zero"


@settings(deadline=None, max_examples=15)
@given(
    seq_lens=st.lists(st.integers(0, 90), min_size=1, max_size=3),
    kv_heads=st.integers(1, 2),
    group=st.sampled_from([1, 2, 3]),
    splits=st.sampled_from([1, 2, 8]),
    window=st.sampled_from([0, 1, 20]),
    eager=st.booleans(),
    normed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_ragged_batches(
    seq_lens: list[int],
    kv_heads: int,
    group: int,
    splits: int,
    window: int,
    eager: bool,
    normed: bool,
    seed: int,
) -> None:
    tile = DecodeTile(keys=16, warps=4, stages=2, share=16, eager=eager)
    shape = Shape(kv_heads, group, 16, window)
    check(shape, seq_lens, splits, tile, normed=normed, seed=seed)


@pytest.mark.parametrize(
    "shape",
    [
        Shape(2, 2, 80),
        Shape(1, 17, 64),
        Shape(2, 2, 64, softcap=5.0),
        Shape(2, 2, 64, dtype=torch.float16),
        Shape(2, 2, 64, dtype=FP8),
    ],
    ids=str,
)
@pytest.mark.parametrize("eager", [False, True])
def test_shapes(shape: Shape, eager: bool) -> None:
    tile = DecodeTile(keys=16, warps=4, stages=2, share=16, eager=eager)
    check(shape, [40, 0, 70, 1], 4, tile, normed=True)


def test_part_of_a_head_may_be_turned() -> None:
    tile = DecodeTile(keys=16, warps=4, stages=2, share=16, eager=True)
    check(Shape(2, 2, 96), [40, 17], 2, tile, normed=True, rotary_dim=24)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "shape",
    [
        Shape(8, 4, 128, dtype=torch.bfloat16),
        Shape(8, 2, 128, dtype=torch.bfloat16),
    ],
    ids=str,
)
@pytest.mark.parametrize(("rows", "longest"), [(1, 400), (8, 3000), (256, 900)])
def test_fused_shapes_that_are_served(shape: Shape, rows: int, longest: int) -> None:
    check(shape, [longest - 3 * row for row in range(rows)], None, None, normed=shape.group == 2)
