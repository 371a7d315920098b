"""What the kernels for few rows fuse: row statistics and rounding before the products, and behind
them bias, gate, residual and store."""

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
def round_e4m3(x, INLINE_PTX: tl.constexpr):
    """fp32 to e4m3 and on to fp16, which has all of its values.

    Rounding may have carried a quotient past the largest number. A GPU's conversion saturates, the
    interpreter's does not.
    """
    if not INLINE_PTX:
        x = tl.minimum(tl.maximum(x, -LARGEST_E4M3), LARGEST_E4M3)
    return x.to(tl.float8e4nv).to(tl.float16)


@triton.jit
def activate(x, ACTIVATION: tl.constexpr):
    """SiLU, or GELU's tanh form (Hendrycks and Gimpel 2016), since 1 + tanh(t) = 2 sigmoid(2t)."""
    if ACTIVATION == "gelu_tanh":
        return x * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))
    return x * tl.sigmoid(x)


@triton.jit
def weight_rows(first, features, ACTIVATION: tl.constexpr, BLOCK_N: tl.constexpr):
    """Rows of the weight that a program takes, `[BLOCK_N]`: those from `first` on.

    With a gate half of them are gate rows, from `first / 2` on, and half the up rows that belong to
    those, which lie `features / 2` rows further.
    """
    lane = tl.arange(0, BLOCK_N)
    if ACTIVATION == "":
        return first + lane
    HALF: tl.constexpr = BLOCK_N // 2
    return first // 2 + (lane // HALF) * (features // 2) + lane % HALF


@triton.jit
def finish(
    y, first, features, rows, bias, residual, out, residual_stride, out_stride,
    ACTIVATION: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_RESIDUAL: tl.constexpr,
    BLOCK_N: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Store `y [BLOCK_N, ROWS]`, the products of `weight_rows` and the inputs, to `out`."""
    if HAS_BIAS:
        feature = weight_rows(first, features, ACTIVATION, BLOCK_N)
        y += tl.load(bias + feature, mask=feature < features, other=0.0).to(tl.float32)[:, None]
    if ACTIVATION == "":
        column = first + tl.arange(0, BLOCK_N)
        width = features
    else:
        HALF: tl.constexpr = BLOCK_N // 2
        gate, up = tl.split(tl.permute(tl.reshape(y, (2, HALF, ROWS)), (1, 2, 0)))
        y = activate(gate, ACTIVATION) * up
        column = first // 2 + tl.arange(0, HALF)
        width = features // 2
    row = tl.arange(0, ROWS)
    stored = (column < width)[:, None] & (row < rows)[None, :]
    if HAS_RESIDUAL:
        offsets = row[None, :] * residual_stride + column[:, None]
        y += tl.load(residual + offsets, mask=stored, other=0.0).to(tl.float32)
    offsets = row[None, :] * out_stride + column[:, None]
    tl.store(out + offsets, y.to(out.dtype.element_ty), mask=stored)
