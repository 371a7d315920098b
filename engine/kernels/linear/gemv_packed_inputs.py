"""The row of activations of `gemv_packed`, in the columns of its products.

A section's planes are dealt out to the eight columns in order: a thread keeps those of column `g`,
as pairs, four words a plane.
"""

import triton
import triton.language as tl

from ..common.fragments import lane_place, multiply, paired, quarters, unpaired
from .skinny_fusion import LARGEST_E4M3, row_statistics


@triton.constexpr_function
def planes_of_unit(weight_format: str) -> int:
    """Into how many runs of eight inputs a thread's part of a unit is cut."""
    return 4 if weight_format == "int4" else 2


@triton.constexpr_function
def planes_of_column(weight_format: str, group: int, units: int) -> int:
    """How many planes of a section of `units` share a column: those of a group, or an eighth."""
    if weight_format == "int4":
        return min(group, 128) // 32
    return -(-units * 2 // 8)


@triton.jit
def _first_input(unit, plane, t, FORMAT: tl.constexpr):
    """The first of the eight inputs in a `plane` of `unit` that thread `t` of a row holds."""
    if FORMAT == "int4":
        return unit * 128 + plane * 32 + t * 8
    if FORMAT == "int8":
        return unit // 2 * 128 + plane * 64 + unit % 2 * 32 + t * 8
    return unit * 64 + t * 16 + plane * 8


@triton.jit
def load_column(
    x, first_unit, FORMAT: tl.constexpr, UNITS: tl.constexpr, SHARED: tl.constexpr,
    THREADS: tl.constexpr,
):  # fmt: skip
    """The pairs of inputs in a thread's column: four words for each of its `SHARED` planes."""
    PLANES: tl.constexpr = planes_of_unit(FORMAT)
    _, g, t = lane_place(THREADS)
    words = ()
    for index in tl.static_range(SHARED):
        plane = g * SHARED + index
        first = _first_input(first_unit + plane // PLANES, plane % PLANES, t, FORMAT)
        pointers = x + (first // 2)[:, None] + tl.arange(0, 4)[None, :]
        mask = (plane < UNITS * PLANES)[:, None]
        words += quarters(tl.load(pointers, mask=mask, other=0))
    return words


@triton.jit
def gained(x, gain, INLINE_PTX: tl.constexpr):
    """`x` by `gain`, rounded, and the sum of the squares of `x`."""
    words = ()
    squares = tl.zeros_like(x[0]).to(tl.float32)
    for index in tl.static_range(len(x)):
        low, high = unpaired(x[index], False)
        low_gain, high_gain = unpaired(gain[index], False)
        squares += low * low + high * high
        words += (paired(low * low_gain, high * high_gain, False, INLINE_PTX),)  # type: ignore[assignment]  # it grows
    return words, squares


@triton.jit
def largest_of(x):
    """The largest magnitude of a thread's inputs."""
    largest = tl.zeros_like(x[0]).to(tl.float32)
    for index in tl.static_range(len(x)):
        low, high = unpaired(x[index], False)
        largest = tl.maximum(largest, tl.maximum(tl.abs(low), tl.abs(high)))
    return largest


@triton.jit
def rounded(x, factor, FORMAT: tl.constexpr, INLINE_PTX: tl.constexpr):
    """`x` by `factor` as pairs of fp16: rounded to e4m3, all of whose values fp16 has, for fp8."""
    words = ()
    for index in tl.static_range(len(x)):
        low, high = unpaired(x[index], False)
        low *= factor
        high *= factor
        if FORMAT == "int8":
            word = paired(low, high, True, INLINE_PTX)
        elif INLINE_PTX:
            word = tl.inline_asm_elementwise(
                "{ .reg .b16 pair; cvt.rn.satfinite.e4m3x2.f32 pair, $2, $1; "
                "cvt.rn.f16x2.e4m3x2 $0, pair; }",
                "=r,f,f",
                [low, high],
                dtype=tl.int32,
                is_pure=True,
                pack=1,
            )
        else:
            low = tl.minimum(tl.maximum(low, -LARGEST_E4M3), LARGEST_E4M3).to(tl.float8e4nv)
            high = tl.minimum(tl.maximum(high, -LARGEST_E4M3), LARGEST_E4M3).to(tl.float8e4nv)
            word = paired(low.to(tl.float32), high.to(tl.float32), True, False)
        words += (word,)  # type: ignore[assignment]  # it grows
    return words


@triton.jit
def scale_of_inputs(largest, FORMAT: tl.constexpr):
    """What fp16 inputs are divided by: for int8 a power of two, so that no bit of them is lost."""
    if FORMAT == "fp8":
        return tl.maximum(largest / LARGEST_E4M3, 1e-12)
    return (tl.maximum(largest, 1e-30).to(tl.int32, bitcast=True) & 0x7F800000).to(
        tl.float32, bitcast=True
    )


@triton.jit
def column_sums_of(x, FP16: tl.constexpr, INLINE_PTX: tl.constexpr):
    """The sums of the inputs in columns `2t` and `2t + 1`, by products with ones."""
    ones = tl.full(x[0].shape, 0x3C003C00 if FP16 else 0x3F803F80, tl.int32)
    zero = tl.zeros_like(x[0]).to(tl.float32)
    sums = (zero, zero, zero, zero)
    for index in tl.static_range(0, len(x), 2):
        sums = multiply(ones, ones, ones, ones, x[index], x[index + 1], sums, FP16, INLINE_PTX)
    return sums[0], sums[1]


@triton.jit
def first_section(
    x, gains, first_unit, inputs, eps, FORMAT: tl.constexpr, NORM: tl.constexpr,
    UNITS: tl.constexpr, SECTIONS: tl.constexpr, SHARED: tl.constexpr, STATISTICS: tl.constexpr,
    THREADS: tl.constexpr, INLINE_PTX: tl.constexpr,
):  # fmt: skip
    """The first section's inputs, what they were multiplied by to be fp16, and what the sums are
    to be multiplied by for that and for the norm."""
    x_words = load_column(x, first_unit, FORMAT, UNITS, SHARED, THREADS)
    factor = 1.0
    to_fp16 = 0.0
    if NORM:
        x_words, squares = gained(x_words, gains, INLINE_PTX)
        factor = tl.rsqrt(tl.sum(squares, 0) / inputs + eps)
    if FORMAT != "int4":
        if SECTIONS == 1:
            largest = tl.max(largest_of(x_words), 0)
        else:
            values = x.to(tl.pointer_type(tl.bfloat16), bitcast=True)
            _, each = row_statistics(values, values, 1, inputs, 0, False, 1, STATISTICS)
            largest = tl.max(each, 0)
        x_scale = scale_of_inputs(largest, FORMAT)
        to_fp16 = 1.0 / x_scale
        factor *= x_scale
        x_words = rounded(x_words, to_fp16, FORMAT, INLINE_PTX)
    return x_words, to_fp16, factor
