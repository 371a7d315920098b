"""A decode step against `rotate_and_store` and attention in float64."""

from collections.abc import Sequence

import torch
from paged_scene import BLOCK_TOKENS, DEVICE, EPSILON, PagedScene, Shape
from prodtop.engine.kernels.attention.decode_attention import decode_attention
from prodtop.engine.kernels.attention.decode_plan import (
    DecodePlan,
    DecodeTile,
    MmaTile,
    plan_decode,
)
from prodtop.engine.kernels.attention.rotary import HeadNorms, rotate_and_store
from torch import Tensor

LONGEST = 4096


def plan_of(
    shape: Shape, rows: int, splits: int | None = None, tile: DecodeTile | MmaTile | None = None
) -> DecodePlan:
    """A plan whose memory shows what was written to it."""
    plan = plan_decode(
        rows,
        shape.heads,
        shape.kv_heads,
        shape.head_dim,
        LONGEST,
        shape.dtype,
        DEVICE,
        splits=splits,
        tile=tile,
    )
    plan.partials.fill_(torch.nan)
    plan.lse.fill_(torch.nan)
    return plan


class DecodeStep:
    """A step of sequences whose last token is new; of those of length 0 it is padding."""

    def __init__(
        self,
        shape: Shape,
        seq_lens: Sequence[int],
        *,
        normed: bool = False,
        rotated_pairs: int | None = None,
        seed: int = 0,
    ) -> None:
        """`rotated_pairs` of each head are rotated; left out, all are."""
        self.shape = shape
        self.scene = PagedScene(shape, seq_lens, seed)
        generator = torch.Generator().manual_seed(seed)
        rows, dtype = len(seq_lens), shape.query_dtype
        width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim
        self.qkv = torch.randn(rows, width, generator=generator).to(DEVICE, dtype)
        self.positions = (self.scene.seq_lens - 1).clamp(min=0)
        blocks = self.scene.block_table.gather(1, (self.positions // BLOCK_TOKENS)[:, None].long())
        slots = blocks[:, 0] * BLOCK_TOKENS + self.positions % BLOCK_TOKENS
        self.slots = torch.where(self.scene.seq_lens > 0, slots, -1)
        half = shape.head_dim // 2
        angles = torch.outer(torch.arange(float(LONGEST)), 100.0 ** -(torch.arange(half) / half))
        if rotated_pairs is not None:
            angles[:, rotated_pairs:] = 0.0
        self.cos, self.sin = angles.cos().to(DEVICE), angles.sin().to(DEVICE)
        self.norms: HeadNorms | None = None
        if normed:
            weights = torch.rand(2, shape.head_dim, generator=generator) + 0.5
            self.norms = HeadNorms(*weights.to(DEVICE, dtype))

    def expected(self) -> tuple[Tensor, Tensor]:
        """The output in float64, of stored keys and values, and the cache after the step."""
        kv = self.scene.kv_blocks.clone()
        q = rotate_and_store(
            self.qkv, kv, self.positions, self.slots, self.cos, self.sin, norms=self.norms
        )
        rows = [
            self.scene.expected(row, q[row : row + 1], kv)[0]
            if length > 0
            else torch.zeros_like(q[0]).double().flatten()
            for row, length in enumerate(self.scene.seq_lens.tolist())
        ]
        return torch.stack(rows), kv

    def run(self, plan: DecodePlan, kv: Tensor) -> Tensor:
        """The output `[sequences, heads · head_dim]`; new keys and values are written to `kv`."""
        shape = self.shape
        out = self.qkv.new_empty(len(self.qkv), shape.heads * shape.head_dim)
        return decode_attention(
            self.qkv,
            kv,
            self.scene.block_table,
            self.scene.seq_lens,
            self.slots,
            self.cos,
            self.sin,
            plan,
            shape.scale,
            out=out,
            norms=self.norms,
            window=shape.window,
            softcap=shape.softcap,
        )

    def check(self, plan: DecodePlan) -> None:
        """Output and cache are what they must be, and the plan is ready for the next launch."""
        expected, expected_kv = self.expected()
        kv = self.scene.kv_blocks.clone()
        out = self.run(plan, kv)
        step = max(torch.finfo(self.shape.dtype).eps, 1e-6)
        torch.testing.assert_close(
            kv.double(), expected_kv.double(), rtol=2 * step, atol=1e-5, equal_nan=True
        )
        errors = (out.double() - expected).abs().amax(dim=1)
        lengths = self.scene.seq_lens.tolist()
        assert float(errors.max()) < EPSILON[self.shape.dtype], f"{errors.tolist()} for {lengths}"
        assert not out[self.scene.seq_lens == 0].any(), "a padding row gets zeros"
        assert not plan.arrived.any(), "the next launch counts from zero"
