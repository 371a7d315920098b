"""Rotation, head norms and the cache's write against float64, in the interpreter or on the GPU."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from prodtop.engine.kernels.attention.rotary import HeadNorms, rotate_and_store
from torch import Tensor

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
FP8 = torch.float8_e4m3fn
BLOCK_TOKENS = 16
UNTOUCHED = 7.0
PADDING = -1


@dataclass(frozen=True, slots=True)
class Shape:
    heads: int
    kv_heads: int
    head_dim: int
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
        half = shape.head_dim // 2
        angles = torch.outer(torch.arange(64.0), 100.0 ** -(torch.arange(half) / half))
        self.cos, self.sin = angles.cos().to(DEVICE), angles.sin().to(DEVICE)

    def run(self, norms: HeadNorms | None) -> Tensor:
        return rotate_and_store(
            self.qkv,
            self.kv_blocks,
            self.positions,
            self.slots,
            self.cos,
            self.sin,
            norms=norms,
        )

    def expected(self, norms: HeadNorms | None) -> tuple[Tensor, Tensor, Tensor]:
        """Float64 queries, keys and values `[rows, heads, head_dim]`."""
        shape = self.shape
        qkv = self.qkv.double().view(len(self.qkv), -1, shape.head_dim)
        first, last = shape.heads, shape.heads + shape.kv_heads
        q, k, v = qkv[:, :first], qkv[:, first:last], qkv[:, last:]
        if norms is not None:
            size = (shape.head_dim,)
            q = F.rms_norm(q, size, norms.query.double(), norms.eps)
            k = F.rms_norm(k, size, norms.key.double(), norms.eps)
        return self._rotate(q), self._rotate(k), v

    def _rotate(self, x: Tensor) -> Tensor:
        cos = self.cos.double()[self.positions, None]
        sin = self.sin.double()[self.positions, None]
        first, second = x.chunk(2, dim=-1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)

    def check(self, norms: HeadNorms | None) -> None:
        q = self.run(norms)
        exact_q, k, v = self.expected(norms)
        real = self.slots != PADDING
        step = torch.finfo(self.shape.dtype).eps
        torch.testing.assert_close(q[real].double(), exact_q[real], rtol=step, atol=4 * step)
        stored = self.kv_blocks.flatten(0, 1)
        written = stored[self.slots[real]].double()
        step = max(step, torch.finfo(self.shape.cache_dtype).eps)
        for ours, exact in ((written[:, 0], k), (written[:, 1], v)):
            torch.testing.assert_close(ours, exact[real], rtol=step, atol=4e-3 + step / 50)
        others = torch.ones(len(stored), dtype=torch.bool, device=DEVICE)
        others[self.slots[real]] = False
        assert (stored[others].float() == UNTOUCHED).all()


@pytest.mark.parametrize(
    "shape",
    [
        Shape(4, 2, 16),
        Shape(2, 2, 80),
        Shape(7, 1, 64),
        Shape(6, 2, 96),
        Shape(4, 2, 64, torch.float16, torch.float16),
        Shape(4, 2, 64, torch.bfloat16, torch.bfloat16),
        Shape(4, 2, 64, torch.float32, FP8),
    ],
    ids=str,
)
@pytest.mark.parametrize("normed", [False, True])
def test_shapes(shape: Shape, normed: bool) -> None:
    weights = torch.rand(2, shape.head_dim, device=DEVICE) + 0.5
    Rows(shape, 5).check(HeadNorms(*weights) if normed else None)


def test_pairs_of_cosine_1_and_sine_0_pass_as_they_are() -> None:
    """So do all of a model with learned positions, and some of one with partial rotation."""
    rows = Rows(Shape(4, 2, 16), 4)
    rows.cos[:, 3:], rows.sin[:, 3:] = 1.0, 0.0
    q = rows.run(None)
    real = rows.slots != PADDING
    before = rows.qkv.view(4, -1, 16)[real]
    stored = rows.kv_blocks.flatten(0, 1)[rows.slots[real], 0]
    for after, heads in ((q[real], before[:, :4]), (stored, before[:, 4:6])):
        for half in (0, 8):
            passing = slice(half + 3, half + 8)
            assert torch.equal(after[..., passing], heads[..., passing])
            assert not torch.equal(after[..., half : half + 3], heads[..., half : half + 3])


@pytest.mark.parametrize("cache_dtype", [torch.float16, FP8], ids=str)
def test_no_nan_and_no_infinity_outlives_its_sequence(cache_dtype: torch.dtype) -> None:
    rows = Rows(Shape(2, 2, 16, torch.float16, cache_dtype), 2)
    rows.qkv[0] = float("nan")
    rows.qkv[1] = float("inf")
    rows.run(None)
    assert rows.kv_blocks.float().isfinite().all()
    value = rows.kv_blocks.flatten(0, 1)[rows.slots[:2], 1].float()
    assert (value[0] == 0).all()
    assert (value[1] == torch.finfo(cache_dtype).max).all()


@pytest.mark.gpu
@pytest.mark.parametrize(
    "shape",
    [
        Shape(32, 8, 128, torch.bfloat16, torch.bfloat16),
        Shape(16, 8, 128, torch.bfloat16, FP8),
        Shape(14, 2, 64, torch.bfloat16, torch.bfloat16),
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [1, 256, 2000])
def test_shapes_that_are_served(shape: Shape, rows: int) -> None:
    weights = torch.rand(2, shape.head_dim, device=DEVICE) + 0.5
    Rows(shape, rows).check(HeadNorms(*weights))
