"""Every e4m3 byte becomes its value over `SCALE`, in Triton's interpreter or on the GPU."""

import torch
import triton
import triton.language as tl
from paged_scene import DEVICE, FP8
from prodtop.engine.kernels.attention.fp8_pairs import (
    SCALE,
    even_dims,
    join_dims,
    odd_dims,
    split_dims,
)
from prodtop.engine.kernels.common.gpu_limits import interpreted
from torch import Tensor

BYTES = 256


@triton.jit
def _unpack_kernel(words_ptr, even_ptr, odd_ptr, COUNT: tl.constexpr, INLINE_PTX: tl.constexpr):
    place = tl.arange(0, COUNT)
    words = tl.load(words_ptr + place)
    tl.store(even_ptr + place, even_dims(words, INLINE_PTX))
    tl.store(odd_ptr + place, odd_dims(words, INLINE_PTX))


@triton.jit
def _round_trip_kernel(x_ptr, out_ptr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    place = tl.arange(0, ROWS)[:, None] * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    even, odd = split_dims(tl.load(x_ptr + place))
    tl.store(out_ptr + place, join_dims(even, odd))


def _numbers() -> Tensor:
    """All bytes but the two that are NaN, in whose places there are zeros."""
    numbers = torch.arange(BYTES, dtype=torch.int32).to(torch.uint8)
    numbers[(numbers & 0x7F) == 0x7F] = 0
    return numbers


def test_every_byte_in_either_place() -> None:
    low = _numbers().repeat_interleave(BYTES)
    high = _numbers().repeat(BYTES)
    words = torch.stack([low, high], dim=1).contiguous().view(torch.int16).flatten().to(DEVICE)
    even, odd = (torch.empty(len(words), dtype=torch.float16, device=DEVICE) for _ in range(2))
    _unpack_kernel[(1,)](
        words, even, odd, COUNT=BYTES * BYTES, INLINE_PTX=not interpreted(words.device)
    )
    for found, source in ((even, low), (odd, high)):
        expected = source.view(FP8).float()
        assert torch.equal(found.float().cpu() * SCALE.value, expected)


def test_dimensions_come_back_in_their_order() -> None:
    x = torch.randn(4, 32).to(DEVICE)
    out = torch.empty_like(x)
    _round_trip_kernel[(1,)](x, out, ROWS=4, COLUMNS=32)
    assert torch.equal(out, x * SCALE.value)
