"""One row by a weight of any format, or up to sixteen by a dense one, on the tensor cores.

The weight is the left operand: 16 of its rows by 16 inputs a step, against eight columns of
activations. A program takes few rows of the weight, so that there are programs for every
multiprocessor, and cuts the inputs among its warps (a batched product, summed at the end), so that
each has enough to do.

Rows fewer than eight leave columns free. A group of int4 weights has its own scale, so the columns
hold the one row's inputs of a group each, and zeros otherwise: eight groups go through one product.
Its inputs are summed on their own, as values `q + 128` that a mask makes (`unpack`), and then
scaled; what the zero point and the 136 add is the sum of the inputs times a number, and a product
with ones gives that sum just where it is needed.
"""

import triton
import triton.language as tl

from ..common.dependent_launch import wait_for_previous
from .skinny_fusion import LARGEST_E4M3, finish, round_e4m3, row_statistics, weight_rows
from .unpack import INT4_OFFSET, int4_plane, plane, scale_and_zero


@triton.jit
def _spread(values, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """`[ROWS]` to `[COLUMNS]`, each value for `COLUMNS / ROWS` neighbouring columns."""
    wide = tl.broadcast_to(values[:, None], (ROWS, COLUMNS // ROWS))
    return tl.reshape(wide, (COLUMNS,))


@triton.jit
def _times(value, gain):
    """`value [splits, words, columns]` by `gain [splits, words]`, in fp32."""
    return value.to(tl.float32) * gain.to(tl.float32)[:, :, None]


@triton.jit
def skinny_dot_kernel(
    x, gain, weight, scale, bias, residual, out, rows, features, inputs, x_stride, residual_stride,
    out_stride, eps, FORMAT: tl.constexpr, GROUP: tl.constexpr, NORM: tl.constexpr,
    ACTIVATION: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_RESIDUAL: tl.constexpr,
    EVEN: tl.constexpr, INLINE_PTX: tl.constexpr, ROWS: tl.constexpr, BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr, SPLITS: tl.constexpr, CHUNK: tl.constexpr, STAGES: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """`out [rows, features]` from `x [rows, inputs]`, `BLOCK_N` features a program.

    `weight` and `scale` are those of `LayerWeight`, `gain [inputs]` is the weight of a norm; `ROWS`
    is `rows` rounded up to a power of two, 1 for packed weights. A step takes `BLOCK_K` inputs of
    each of `SPLITS` splits, `CHUNK` those of a step of the statistics. EVEN: the steps end with the
    inputs, and the blocks of features with the features.
    """
    COLUMNS: tl.constexpr = max(8, ROWS)
    SPREAD: tl.constexpr = COLUMNS // ROWS
    PLANES: tl.constexpr = 4 if FORMAT == "int4" else (2 if FORMAT == "int8" else 1)
    WORDS: tl.constexpr = BLOCK_K // PLANES
    # Words of a row that are one after the other: in int4, those of a block of 128 inputs.
    RUN: tl.constexpr = 128 // PLANES if PLANES > 1 else BLOCK_K
    QUANTIZE: tl.constexpr = FORMAT == "fp8"
    rounded: tl.constexpr = tl.float16 if QUANTIZE else x.dtype.element_ty
    # The interpreter has no product of bf16.
    dtype: tl.constexpr = rounded if INLINE_PTX else tl.float32

    first = tl.program_id(0) * BLOCK_N
    feature = weight_rows(first, features, ACTIVATION, BLOCK_N)
    split = tl.arange(0, SPLITS)
    word = tl.arange(0, WORDS)
    column = tl.arange(0, COLUMNS)
    steps = tl.cdiv(inputs, BLOCK_K * SPLITS)

    if FORMAT == "int4":
        block = split[:, None] * (steps * (BLOCK_K // 128)) + (word // RUN)[None, :]
        weight_offsets = (block * features * RUN + (word % RUN)[None, :])[:, None, :]
        weight_offsets += (feature * RUN)[None, :, None]
        weight_step = (BLOCK_K // 128) * RUN * features
    else:
        row_words = tl.cdiv(inputs, 128) * RUN if FORMAT == "int8" else inputs
        weight_offsets = (split[:, None] * (steps * WORDS) + word[None, :])[:, None, :]
        weight_offsets += feature.to(tl.int64)[None, :, None] * row_words
        weight_step = WORDS
    weights = weight + weight_offsets
    wait_for_previous(PDL)

    if NORM or QUANTIZE:
        squares, largest = row_statistics(x, gain, rows, inputs, x_stride, NORM, ROWS, CHUNK)
    if QUANTIZE:
        x_scale = tl.maximum(largest / LARGEST_E4M3, 1e-12)
        to_e4m3 = _spread(1.0 / x_scale, ROWS, COLUMNS)[None, None, :]

    # The input of each word's first value, in its split: [SPLITS, WORDS].
    first_input = split[:, None] * (steps * BLOCK_K)
    first_input += ((word // RUN) * (RUN * PLANES) + word % RUN)[None, :]
    row = column // SPREAD
    x_offsets = first_input[:, :, None] + (row * x_stride)[None, None, :]
    column_used = (row < rows)[None, None, :]
    if FORMAT != "int4":
        column_used = column_used & (column % SPREAD == 0)[None, None, :]

    if FORMAT == "int4":
        # Groups of more than 128 inputs are taken in parts of 128, with one scale for them all.
        PART: tl.constexpr = min(GROUP, 128)
        tl.static_assert(ROWS == 1 and BLOCK_K == SPREAD * PART)
        own_part = split[:, None] * (steps * (BLOCK_K // PART)) + (column % SPREAD)[None, :]
        ones = tl.full((SPLITS, BLOCK_N, WORDS), 1.0, dtype)

    total = tl.zeros((SPLITS, BLOCK_N, COLUMNS), tl.float32)
    for step in tl.range(0, steps, num_stages=STAGES):
        if EVEN:
            words = tl.load(weights, eviction_policy="evict_first")
        else:
            stored = (first_input + step * BLOCK_K < inputs)[:, None, :]
            stored = stored & (feature < features)[None, :, None]
            words = tl.load(weights, mask=stored, other=0.0)
        if FORMAT == "int4":
            part = step * (BLOCK_K // PART) + own_part
            group = part * PART // GROUP
            grid = scale + group[:, None, :] * features + feature[None, :, None]
            if EVEN:
                pair = tl.load(grid)
            else:
                grid_inside = (part * PART < inputs)[:, None, :]
                grid_inside = grid_inside & (feature < features)[None, :, None]
                pair = tl.load(grid, mask=grid_inside, other=0)
            products = tl.zeros((SPLITS, BLOCK_N, COLUMNS), tl.float32)
            sums = tl.zeros((SPLITS, BLOCK_N, COLUMNS), tl.float32)
            for j in tl.static_range(PLANES):
                own = ((word // RUN * 128 + j * RUN) // PART)[:, None]
                own = (own == (column % SPREAD)[None, :])[None, :, :]
                k = first_input + step * BLOCK_K + j * RUN
                mask = column_used & own if EVEN else column_used & own & (k < inputs)[:, :, None]
                value = tl.load(x + x_offsets + step * BLOCK_K + j * RUN, mask=mask, other=0.0)
                if NORM:
                    value = _times(value, tl.load(gain + k, mask=k < inputs, other=0.0))
                value = value.to(rounded).to(dtype)
                products = tl.dot(int4_plane(words, j, dtype, INLINE_PTX), value, products)
                sums = tl.dot(ones, value, sums)
            group_scale, group_zero = scale_and_zero(pair)
            total = products * group_scale + total
            total = sums * (group_zero - INT4_OFFSET * group_scale) + total
        else:
            for j in tl.static_range(PLANES):
                k = first_input + step * BLOCK_K + j * RUN
                mask = column_used if EVEN else column_used & (k < inputs)[:, :, None]
                value = tl.load(x + x_offsets + step * BLOCK_K + j * RUN, mask=mask, other=0.0)
                if NORM:
                    value = _times(value, tl.load(gain + k, mask=k < inputs, other=0.0))
                if QUANTIZE:
                    value = round_e4m3(value.to(tl.float32) * to_e4m3, INLINE_PTX)
                value = value.to(rounded).to(dtype)
                total = tl.dot(
                    plane(words, FORMAT, j, dtype, INLINE_PTX), value, total, input_precision="ieee"
                )
        weights += weight_step

    y = tl.sum(tl.reshape(tl.sum(total, 0), (BLOCK_N, ROWS, SPREAD)), 2)
    if FORMAT == "int8" or FORMAT == "fp8":
        y *= tl.load(scale + feature, mask=feature < features, other=0.0).to(tl.float32)[:, None]
    if QUANTIZE:
        y *= x_scale[None, :]
    if NORM:
        y *= tl.rsqrt(squares / inputs + eps)[None, :]
    finish(
        y, first, features, rows, bias, residual, out, residual_stride, out_stride, ACTIVATION,
        HAS_BIAS, HAS_RESIDUAL, BLOCK_N, ROWS,
    )  # fmt: skip
