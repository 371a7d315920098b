"""Rotation, head norms and the cache's write against float64, in the interpreter or on the GPU."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from prodtop.engine.kernels.attention.rotary import PLAIN, RotaryOptions, rotate_and_store
from torch import Tensor

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
FP8 = torch.float8_e4m3fn
BLOCK_TOKENS = 16
UNTOUCHED = 7.0
PADDING = -1


@dataclass(frozen=True, slots=True)
class Shape:
    heads: int
    kv_heads: int
    head_dim: int
    rotary_dim: int
    dtype: torch.dtype = torch.float32
    cache_dtype: torch.dtype = torch.float32


class Rows:
    """A step's qkv rows with their positions and slots; every third row is padding."""

    def __init__(self, shape: Shape, rows: int) -> None:
        generator = torch.Generator().manual_seed(rows)
        self.shape = shape
        width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim
        self.qkv = torch.randn(rows, width, generator=generator).to(DEVICE, shape.dtype)
        self.positions = torch.randint(0, 64, (rows,), generator=generator).to(DEVICE)
        blocks = rows // BLOCK_TOKENS + 2
        slots = torch.randperm(blocks * BLOCK_TOKENS, generator=generator)[:rows]
        slots[2::3] = PADDING
        self.slots = slots.to(DEVICE)
        cache = (blocks, BLOCK_TOKENS, 2, shape.kv_heads, shape.head_dim)
        self.kv_blocks = torch.full(cache, UNTOUCHED, device=DEVICE).to(shape.cache_dtype)
        half = shape.rotary_dim // 2
        angles = torch.outer(torch.arange(64.0), 100.0 ** -(torch.arange(half) / half))
        self.cos, self.sin = angles.cos().to(DEVICE), angles.sin().to(DEVICE)

    def run(self, options: RotaryOptions, out: Tensor | None = None) -> Tensor:
        return rotate_and_store(
            self.qkv,
            self.kv_blocks,
            self.positions,
            self.slots,
            self.cos,
            self.sin,
            options=options,
            out=out,
        )

    def expected(self, options: RotaryOptions) -> tuple[Tensor, Tensor, Tensor]:
        """Float64 queries, keys and values `[rows, heads, head_dim]`."""
        shape = self.shape
        qkv = self.qkv.double().view(len(self.qkv), -1, shape.head_dim)
        first, last = shape.heads, shape.heads + shape.kv_heads
        q, k, v = qkv[:, :first], qkv[:, first:last], qkv[:, last:]
        if options.q_norm is not None and options.k_norm is not None:
            size = (shape.head_dim,)
            q = F.rms_norm(q, size, options.q_norm.double(), options.eps)
            k = F.rms_norm(k, size, options.k_norm.double(), options.eps)
        return self._turn(q), self._turn(k), v

    def _turn(self, x: Tensor) -> Tensor:
        half = self.shape.rotary_dim // 2
        cos = self.cos.double()[self.positions, None]
        sin = self.sin.double()[self.positions, None]
        first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
        return torch.cat((first * cos - second * sin, second * cos + first * sin, rest), dim=-1)

    def check(self, options: RotaryOptions) -> None:
        q = self.run(options)
        exact_q, k, v = self.expected(options)
        real = self.slots != PADDING
        step = torch.finfo(self.shape.dtype).eps
        torch.testing.assert_close(q[real].double(), exact_q[real], rtol=step, atol=4 * step)
        stored = self.kv_blocks.flatten(0, 1)
        kept = stored[self.slots[real]].double()
        step = max(step, torch.finfo(self.shape.cache_dtype).eps)
        for ours, exact, scale in (
            (kept[:, 0], k, options.k_scale),
            (kept[:, 1], v, options.v_scale),
        ):
            torch.testing.assert_close(ours * scale, exact[real], rtol=step, atol=4e-3 + step / 50)
        others = torch.ones(len(stored), dtype=torch.bool, device=DEVICE)
        others[self.slots[real]] = False
        assert (stored[others].float() == UNTOUCHED).all()


@pytest.mark.parametrize(
    "shape",
    [
        Shape(4, 2, 16, 16),
        Shape(2, 2, 80, 80),
        Shape(7, 1, 64, 64),
        Shape(6, 2, 96, 24),
        Shape(4, 2, 64, 64, torch.float16, torch.float16),
        Shape(4, 2, 64, 64, torch.bfloat16, torch.bfloat16),
        Shape(4, 2, 64, 32, torch.float32, FP8),
    ],
    ids=str,
)
@pytest.mark.parametrize("normed", [False, True])
def test_shapes(shape: Shape, normed: bool) -> None:
    weights = torch.rand(2, shape.head_dim, device=DEVICE) + 0.5
    scales = (0.5, 2.0) if shape.cache_dtype is FP8 else (1.0, 1.0)
    options = RotaryOptions(
        q_norm=weights[0] if normed else None,
        k_norm=weights[1] if normed else None,
        k_scale=scales[0],
        v_scale=scales[1],
    )
    Rows(shape, 5).check(options)


def test_queries_may_be_turned_in_place() -> None:
    shape = Shape(4, 2, 16, 16)
    rows = Rows(shape, 4)
    expected, k, _ = rows.expected(PLAIN)
    before = rows.qkv.clone()
    front = rows.qkv.view(4, -1, 16)[:, :4]
    q = rows.run(PLAIN, out=front)
    assert q.data_ptr() == rows.qkv.data_ptr()
    real = rows.slots != PADDING
    torch.testing.assert_close(q[real].double(), expected[real], rtol=1e-6, atol=1e-6)
    assert torch.equal(rows.qkv[~real], before[~real]), "padding rows are left alone"
    kept = rows.kv_blocks.flatten(0, 1)[rows.slots[real], 0]
    torch.testing.assert_close(kept.double(), k[real], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cache_dtype", [torch.float16, FP8], ids=str)
def test_no_nan_and_no_infinity_outlives_its_sequence(cache_dtype: torch.dtype) -> None:
    rows = Rows(Shape(2, 2, 16, 16, torch.float16, cache_dtype), 2)
    rows.qkv[0] = float("nan")
    rows.qkv[1] = float("inf")
    rows.run(PLAIN)
    assert rows.kv_blocks.float().isfinite().all()
    value = rows.kv_blocks.flatten(0, 1)[rows.slots[:2], 1].float()
    assert (value[0] == 0).all()
    assert (value[1] == torch.finfo(cache_dtype).max).all()


@pytest.mark.gpu
@pytest.mark.parametrize(
    "shape",
    [
        Shape(32, 8, 128, 128, torch.bfloat16, torch.bfloat16),
        Shape(16, 8, 128, 128, torch.bfloat16, FP8),
        Shape(14, 2, 64, 64, torch.bfloat16, torch.bfloat16),
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [1, 256, 2000])
def test_shapes_that_are_served(shape: Shape, rows: int) -> None:
    weights = torch.rand(2, shape.head_dim, device=DEVICE) + 0.5
    Rows(shape, rows).check(RotaryOptions(q_norm=weights[0], k_norm=weights[1]))
