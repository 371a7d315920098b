"""What the skinny kernels do with their sums: bias, gate, residual, store."""

import triton
import triton.language as tl


@triton.jit
def activate(x, ACTIVATION: tl.constexpr):
    """SiLU, or GELU (Hendrycks & Gimpel 2016) exactly or with `tanh`, which 2 σ(2t) − 1 is."""
    if ACTIVATION == "silu":
        return x * tl.sigmoid(x)
    if ACTIVATION == "gelu_tanh":
        return x * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))
    return 0.5 * x * (1.0 + tl.erf(0.7071067811865476 * x))


@triton.jit
def weight_rows(first, features, ACTIVATION: tl.constexpr, BLOCK_N: tl.constexpr):
    """Which rows of the weight a program takes: `BLOCK_N` from `first` on.

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
    y,
    first,
    features,
    rows,
    bias,
    residual,
    out,
    residual_stride,
    out_stride,
    ACTIVATION: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    BLOCK_N: tl.constexpr,
    ROWS: tl.constexpr,
):
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
