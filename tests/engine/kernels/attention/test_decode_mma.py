"""The decode step of few sequences against `rotate_and_store` and attention in float64."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from paged_scene import BLOCK_TOKENS, DEVICE, EPSILON, PagedScene, Shape
from prodtop.engine.kernels.attention.decode_attention import (
    DecodePlan,
    decode_attention_fused,
    plan_decode,
)
from prodtop.engine.kernels.attention.decode_mma import MmaTile, has_kernel
from prodtop.engine.kernels.attention.rotary import PLAIN, RotaryOptions, rotate_and_store
from torch import Tensor

BF16 = torch.bfloat16
LONGEST = 4096
SMALL_TILE = MmaTile(warps=2, tiles=1, share=32)


def plan_of(shape: Shape, rows: int, splits: int = 1, tile: MmaTile = SMALL_TILE) -> DecodePlan:
    """A plan whose memory shows what was written to it."""
    plan = plan_decode(
        rows,
        shape.heads,
        shape.kv_heads,
        shape.head_dim,
        LONGEST,
        DEVICE,
        splits=splits,
        tile=tile,
    )
    plan.partials.fill_(torch.nan)
    plan.lse.fill_(torch.nan)
    return plan


class Step:
    """A step of sequences whose last token is new; of those of length 0 it is padding."""

    def __init__(self, shape: Shape, seq_lens: Sequence[int], *, normed: bool, seed: int) -> None:
        self.shape = shape
        self.scene = PagedScene(shape, seq_lens, seed)
        generator = torch.Generator().manual_seed(seed)
        width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim
        self.qkv = torch.randn(len(seq_lens), width, generator=generator).to(DEVICE, BF16)
        self.positions = (self.scene.seq_lens - 1).clamp(min=0)
        blocks = self.scene.block_table.gather(1, (self.positions // BLOCK_TOKENS)[:, None].long())
        slots = blocks[:, 0] * BLOCK_TOKENS + self.positions % BLOCK_TOKENS
        self.slots = torch.where(self.scene.seq_lens > 0, slots, -1)
        half = shape.head_dim // 2
        angles = torch.outer(torch.arange(float(LONGEST)), 100.0 ** -(torch.arange(half) / half))
        self.cos, self.sin = angles.cos().to(DEVICE), angles.sin().to(DEVICE)
        self.options = PLAIN
        if normed:
            weights = torch.rand(2, shape.head_dim, generator=generator) + 0.5
            q_norm, k_norm = weights.to(DEVICE, BF16)
            self.options = RotaryOptions(q_norm, k_norm, 1e-6)

    def expected(self) -> tuple[Tensor, Tensor]:
        """The output in float64, of stored keys and values, and the cache after the step."""
        kv = self.scene.kv_blocks.clone()
        q = rotate_and_store(
            self.qkv, kv, self.positions, self.slots, self.cos, self.sin, options=self.options
        )
        before, self.scene.kv_blocks = self.scene.kv_blocks, kv
        rows = [
            self.scene.expected(row, q[row : row + 1])[0] if length > 0 else torch.zeros_like(q[0])
            for row, length in enumerate(self.scene.seq_lens.tolist())
        ]
        self.scene.kv_blocks = before
        return torch.stack([row.flatten().double() for row in rows]), kv

    def run(self, plan: DecodePlan, kv: Tensor) -> Tensor:
        return decode_attention_fused(
            self.qkv,
            kv,
            self.scene.block_table,
            self.scene.seq_lens,
            self.slots,
            self.cos,
            self.sin,
            plan,
            self.shape.scale,
            options=self.options,
            window=self.shape.window,
            softcap=self.shape.softcap,
        )


def check(
    shape: Shape,
    seq_lens: Sequence[int],
    splits: int = 1,
    tile: MmaTile = SMALL_TILE,
    *,
    normed: bool = False,
    seed: int = 0,
    plan: DecodePlan | None = None,
) -> None:
    step = Step(shape, seq_lens, normed=normed, seed=seed)
    expected, expected_kv = step.expected()
    kv = step.scene.kv_blocks.clone()
    assert has_kernel(BF16, shape.group, shape.head_dim, shape.head_dim)
    if plan is None:
        plan = plan_of(shape, len(seq_lens), splits, tile)
    out = step.run(plan, kv)
    torch.testing.assert_close(
        kv.double(), expected_kv.double(), rtol=2 * torch.finfo(BF16).eps, atol=1e-5, equal_nan=True
    )
    error = (out.double() - expected).abs().amax(dim=1)
    assert float(error.max()) < EPSILON[BF16], f"{error.tolist()} for {seq_lens}"
    for row, length in enumerate(seq_lens):
        assert length > 0 or not out[row].any(), "a padding row gets zeros"
    assert not plan.arrived.any(), "the next launch counts from zero"


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
    step = Step(Shape(1, 2, 64, dtype=BF16), [20], normed=False, seed=0)
    expected, _ = step.expected()
    step.slots.fill_(-1)
    kv = step.scene.kv_blocks.clone()
    out = step.run(plan_of(step.shape, 1), kv)
    assert float((out.double() - expected).abs().max()) < EPSILON[BF16]
    torch.testing.assert_close(kv, step.scene.kv_blocks, rtol=0, atol=0, equal_nan=True)


def test_what_nobody_wrote_is_not_read() -> None:
    """The table past a sequence's end may hold anything."""
    step = Step(Shape(1, 2, 64, dtype=BF16), [5, 49], normed=False, seed=0)
    outputs = []
    for _ in range(2):
        outputs.append(step.run(plan_of(step.shape, 2, 2), step.scene.kv_blocks))
        step.scene.block_table[0, 1:] = 1 << 30
        step.scene.block_table[1, 4:] = -1
    assert torch.equal(*outputs)


def test_a_plan_serves_layer_after_layer() -> None:
    shape = Shape(1, 2, 64, dtype=BF16)
    shared = plan_of(shape, 2, 4)
    for seed in range(2):
        check(shape, [100, 17], seed=seed, plan=shared)


def test_a_share_is_never_shorter_than_the_tile_says() -> None:
    """So that short sequences are not combined from many: theirs is one program's result."""
    shape = Shape(1, 2, 64, dtype=BF16)
    plan = plan_of(shape, 2, 4, MmaTile(2, 1, 64))
    check(shape, [64, 40], plan=plan)
    assert plan.partials.isnan().all(), "nothing was split"
    with pytest.raises(ValueError, match="share"):
        MmaTile(warps=4, tiles=2, share=64)


@pytest.mark.parametrize(
    ("dtype", "group", "head_dim", "turned"),
    [
        (torch.float16, 4, 128, 128),
        (torch.float8_e4m3fn, 4, 128, 128),
        (BF16, 9, 128, 128),
        (BF16, 4, 96, 96),
        (BF16, 4, 128, 64),
    ],
)
def test_other_shapes_have_no_kernel(
    dtype: torch.dtype, group: int, head_dim: int, turned: int
) -> None:
    assert not has_kernel(dtype, group, head_dim, turned)


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
        tile = MmaTile(min(tile.warps, 8), 1, tile.share)
    check(shape, seq_lens, splits, tile, normed=shape.group == 2)
