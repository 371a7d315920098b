"""What the skinny kernels do before their sums: each row's statistics, and rounding by them."""

import triton
import triton.language as tl

LARGEST_E4M3 = tl.constexpr(448.0)


@triton.jit
def row_statistics(
    x, gain, rows, inputs, x_stride, NORM: tl.constexpr, ROWS: tl.constexpr, CHUNK: tl.constexpr
):
    """Each row's sum of squares and largest magnitude, after `gain`, of `x [rows, inputs]`.

    Every program takes them for itself: few rows fit the L2 cache, and a kernel costs more.
    """
    row = tl.arange(0, ROWS)[:, None]
    squares = tl.zeros((ROWS, CHUNK), tl.float32)
    largest = tl.zeros((ROWS, CHUNK), tl.float32)
    for first in range(0, inputs, CHUNK):
        column = first + tl.arange(0, CHUNK)[None, :]
        inside = column < inputs
        value = tl.load(x + row * x_stride + column, mask=inside & (row < rows), other=0.0)
        value = value.to(tl.float32)
        squares += value * value
        if NORM:
            value *= tl.load(gain + column, mask=inside, other=0.0).to(tl.float32)
        largest = tl.maximum(largest, tl.abs(value))
    return tl.sum(squares, 1), tl.max(largest, 1)


@triton.jit
def round_e4m3(x, SATURATES: tl.constexpr):
    """fp32 to e4m3 and on to fp16, which has all of its values.

    Rounding may have carried a quotient past the largest number. A GPU's conversion saturates.
    """
    if not SATURATES:
        x = tl.minimum(tl.maximum(x, -LARGEST_E4M3), LARGEST_E4M3)
    return x.to(tl.float8e4nv).to(tl.float16)
