"""One row by a dense, int8 or fp8 weight, without the tensor cores.

The row stays in registers, spread over the program's threads and normalized once; rows of the
weight stream past it, `BLOCK_N` at a time, each thread multiplying what it holds the inputs of. As
many programs as the device holds run from start to end, so that the stream never stops.
"""

import triton
import triton.language as tl

from .dependent_launch import wait_for_previous
from .skinny_epilogue import finish, weight_rows
from .skinny_prologue import LARGEST_E4M3, prefetch, round_e4m3


@triton.jit
def _load_rows(
    weight,
    first,
    features,
    row_stride,
    ACTIVATION: tl.constexpr,
    EVEN: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    """`[BLOCK_N, BLOCK_K]` of the weight, zeros past its ends."""
    feature = weight_rows(first, features, ACTIVATION, BLOCK_N)[:, None]
    position = tl.arange(0, BLOCK_K)[None, :]
    mask = feature < features
    if not EVEN:
        mask = mask & (position < row_stride)
    pointers = weight + feature.to(tl.int64) * row_stride + position
    return tl.load(pointers, mask=mask, other=0.0, eviction_policy="evict_first")


@triton.jit
def _prefetch_rows(
    weight,
    first,
    features,
    row_stride,
    ACTIVATION: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    PIECES: tl.constexpr,
):
    """Have what `_load_rows` will load brought to the L2 cache, a piece a thread."""
    PIECE: tl.constexpr = BLOCK_N * BLOCK_K // PIECES
    feature = tl.minimum(weight_rows(first, features, ACTIVATION, BLOCK_N), features - 1)[:, None]
    position = tl.arange(0, BLOCK_K // PIECE)[None, :] * PIECE
    pointers = weight + feature.to(tl.int64) * row_stride + position
    # Threads whose piece lies past the row's end ask for its last one again.
    last = weight + (feature + 1).to(tl.int64) * row_stride - PIECE
    pointers = tl.where(position + PIECE <= row_stride, pointers, last)
    prefetch(pointers, PIECE * weight.dtype.element_ty.primitive_bitwidth // 8)


@triton.jit
def skinny_row_kernel(
    x,
    gain,
    weight,
    scale,
    bias,
    residual,
    out,
    features,
    inputs,
    eps,
    blocks_per_program,
    FORMAT: tl.constexpr,
    NORM: tl.constexpr,
    ACTIVATION: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    EVEN: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    PREFETCH: tl.constexpr,
    THREADS: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):
    """`out [features]` from `x [inputs]`, which are at most `BLOCK_K` (EVEN: just as many).

    `STAGES` 1 keeps the next rows in registers while these are summed, more in shared memory.
    `PREFETCH` blocks after the first are brought to the L2 cache before the kernel before is done.
    """
    row_stride = tl.cdiv(inputs, 128) * 128 if FORMAT == "int8" else inputs
    span = blocks_per_program * BLOCK_N
    start = tl.program_id(0) * span
    end = tl.minimum(start + span, features)

    if STAGES == 1:
        ahead = _load_rows(weight, start, features, row_stride, ACTIVATION, EVEN, BLOCK_N, BLOCK_K)
    for block in tl.static_range(PREFETCH):
        first = tl.minimum(start + (block + 1) * BLOCK_N, features - 1)
        _prefetch_rows(weight, first, features, row_stride, ACTIVATION, BLOCK_N, BLOCK_K, THREADS)
    wait_for_previous(PDL)

    position = tl.arange(0, BLOCK_K)
    if FORMAT == "int8":
        # The bytes of a block of 128 inputs alternate between its two planes of 64.
        position = position // 128 * 128 + position % 2 * 64 + position % 128 // 2
    inside = position < inputs
    value = tl.load(x + position, mask=inside, other=0.0).to(tl.float32)
    factor = 1.0
    if NORM:
        factor = tl.rsqrt(tl.sum(value * value, 0) / inputs + eps)
        value *= tl.load(gain + position, mask=inside, other=0.0).to(tl.float32)
    if FORMAT == "fp8":
        x_scale = tl.maximum(tl.max(tl.abs(value), 0) / LARGEST_E4M3, 1e-12)
        value = round_e4m3(value / x_scale, False).to(tl.float32)
        factor *= x_scale

    for first in tl.range(start, end, BLOCK_N, num_stages=STAGES):
        if STAGES == 1:
            words = ahead
            ahead = _load_rows(
                weight, first + BLOCK_N, features, row_stride, ACTIVATION, EVEN, BLOCK_N, BLOCK_K
            )
        else:
            words = _load_rows(
                weight, first, features, row_stride, ACTIVATION, EVEN, BLOCK_N, BLOCK_K
            )
        if FORMAT == "fp8":
            words = words.to(tl.float16)
        y = tl.sum(words.to(tl.float32) * value[None, :], 1) * factor
        if FORMAT == "int8" or FORMAT == "fp8":
            feature = weight_rows(first, features, ACTIVATION, BLOCK_N)
            y *= tl.load(scale + feature, mask=feature < features, other=0.0).to(tl.float32)
        finish(
            y[:, None],
            first,
            features,
            1,
            bias,
            residual,
            out,
            0,
            0,
            ACTIVATION,
            HAS_BIAS,
            HAS_RESIDUAL,
            BLOCK_N,
            1,
        )
