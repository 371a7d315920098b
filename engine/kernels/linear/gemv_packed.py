"""One row by a packed weight on the tensor cores, the weight straight from memory to registers.

Sixteen rows of the weight, a tile, go through at a time. The layouts in which packed weights are
stored (`precision/planes.py`, `pack_int4`, e4m3 row by row) are such that the 16 bytes a thread
loads are what the tensor cores want of it (`fragments`), once a few instructions have made pairs of
bf16 or fp16 of them: nothing goes through shared memory, and no warp waits for another before a
tile is done. The inputs are cut among the warps, and a warp's into sections, of which it has some
on their way while it works on another.

A product has eight columns, and here is one row of activations. So each column holds the inputs of
another eighth of a section, and each has a result of its own, of which the other columns mean
nothing: products of some inputs by others' weights. That is what the groups of int4 weights need,
each with a scale of its own: a thread ends up with the sums that it scales. What the zero point and
the constant in `int4_pairs` add is the sum of the inputs times a number. And a thread keeps no more
than its own column's inputs, an eighth of what the products take, so that registers are left for
weights.
"""

import triton
import triton.language as tl

from ..common.dependent_launch import let_next_in, wait_for_previous
from ..common.fragments import INT8_OFFSET, lane_place
from .gemv_packed_inputs import (
    column_sums_of,
    first_section,
    load_column,
    planes_of_column,
    planes_of_unit,
    rounded,
)
from .gemv_packed_tile import (
    load_rows,
    load_scales,
    load_unit,
    multiply_section,
    rows_of_tile,
    scaled_columns,
    section_place,
)
from .skinny_fusion import activate


@triton.jit
def _finish_tile(
    low, high, scales, factor, biases, residuals, out, row, FORMAT: tl.constexpr,
    ACTIVATION: tl.constexpr, HAS_RESIDUAL: tl.constexpr,
):  # fmt: skip
    """Add up what the threads have of a tile's rows, scale and activate it, and store it."""
    WARPS: tl.constexpr = low.shape[0] // 32
    both = tl.reshape(tl.join(low, high), (WARPS, 8, 4, 2))
    y_low, y_high = tl.split(tl.sum(tl.sum(both, 2), 0) * factor)
    if FORMAT != "int4":
        y_low *= scales[0].to(tl.float32)
        y_high *= scales[1].to(tl.float32)
    y_low += biases[0]
    y_high += biases[1]
    if ACTIVATION != "":
        y_low = activate(y_low, ACTIVATION) * y_high
    if HAS_RESIDUAL:
        y_low += residuals[0]
    tl.store(out + row, y_low.to(out.dtype.element_ty))
    if ACTIVATION == "":
        if HAS_RESIDUAL:
            y_high += residuals[1]
        tl.store(out + row + 8, y_high.to(out.dtype.element_ty))


@triton.jit
def gemv_packed_kernel(
    x, gain, weight, scale, bias, residual, out, features, inputs, eps, FORMAT: tl.constexpr,
    GROUP: tl.constexpr, NORM: tl.constexpr, ACTIVATION: tl.constexpr, HAS_BIAS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr, INLINE_PTX: tl.constexpr, UNITS: tl.constexpr,
    SECTIONS: tl.constexpr, SECTIONS_AHEAD: tl.constexpr, STATISTICS: tl.constexpr,
    THREADS: tl.constexpr, NEXT_EARLY: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """`out [features]` from `x [inputs]`, bf16 in pairs, as a norm's weight `gain [inputs]` is.

    `weight` and `scale` are those of `LayerWeight`, the weight in words of 32 bits. A program takes
    one tile in `num_programs`. A warp has `SECTIONS` sections of `UNITS` units of the inputs, the
    weights of `SECTIONS_AHEAD` of them on their way. `STATISTICS` inputs are looked at together for
    the largest. NEXT_EARLY lets the next kernel's programs in from the start.
    """
    GATED: tl.constexpr = ACTIVATION != ""
    SHARED: tl.constexpr = planes_of_column(FORMAT, GROUP, UNITS)
    FP16: tl.constexpr = FORMAT != "int4"
    tl.static_assert(UNITS * planes_of_unit(FORMAT) <= 8 * SHARED)
    tl.static_assert(SECTIONS == 1 or not NORM)
    tiles = features // 16
    warp, _, _ = lane_place(THREADS)

    if NEXT_EARLY:
        let_next_in(PDL)
    ahead = ()
    for section in tl.static_range(SECTIONS_AHEAD):
        tile, unit = section_place(section, warp, SECTIONS, UNITS)
        for index in tl.static_range(2 * UNITS):
            ahead += (  # type: ignore[assignment]  # it grows
                load_unit(
                    weight, tile, tiles, unit + index // 2, index % 2, features, inputs, FORMAT,
                    GATED, THREADS,
                ),
            )  # fmt: skip
    first_tile, first_unit = section_place(0, warp, SECTIONS, UNITS)
    scales = load_scales(
        scale, first_tile, tiles, first_unit, features, FORMAT, GROUP, GATED, UNITS, THREADS
    )
    gains = ()
    if NORM:
        gains = load_column(gain, first_unit, FORMAT, UNITS, SHARED, THREADS)
    wait_for_previous(PDL)

    x_words, to_fp16, factor = first_section(
        x, gains, first_unit, inputs, eps, FORMAT, NORM, UNITS, SECTIONS, SHARED, STATISTICS,
        THREADS, INLINE_PTX,
    )  # fmt: skip
    column_sums = (0.0, 0.0)
    if FORMAT != "fp8":
        column_sums = column_sums_of(x_words, FP16, INLINE_PTX)
    low = tl.zeros((THREADS,), tl.float32)
    high = tl.zeros((THREADS,), tl.float32)
    own_tiles = tl.cdiv(tiles - tl.program_id(0), tl.num_programs(0))
    for step in tl.range(0, own_tiles * SECTIONS):
        tile, _ = section_place(step, warp, SECTIONS, UNITS)
        next_tile, next_unit = section_place(step + 1, warp, SECTIONS, UNITS)
        far_tile, far_unit = section_place(step + SECTIONS_AHEAD, warp, SECTIONS, UNITS)
        done = step % SECTIONS == SECTIONS - 1
        # From memory, like the weights, and so as far ahead; a warp would wait for it as long.
        next_scales = load_scales(
            scale, next_tile, tiles, next_unit, features, FORMAT, GROUP, GATED, UNITS, THREADS
        )
        # What is only needed at the end is asked for before the products.
        first_row, apart = rows_of_tile(tile, features, GATED)
        row = first_row + tl.arange(0, 8)
        biases = load_rows(bias, row, apart, done, HAS_BIAS)
        residuals = load_rows(residual, row, 0 if GATED else 8, done, HAS_RESIDUAL)
        if SECTIONS > 1:
            next_x = load_column(x, next_unit, FORMAT, UNITS, SHARED, THREADS)
        parts, ahead = multiply_section(
            weight, ahead, x_words, far_tile, tiles, far_unit, features, inputs, FORMAT, GATED,
            UNITS, SHARED, THREADS, INLINE_PTX,
        )  # fmt: skip
        if FORMAT == "int4":
            low += scaled_columns(parts[0], parts[1], column_sums, scales, 0)
            high += scaled_columns(parts[2], parts[3], column_sums, scales, 2)
        else:
            low += parts[0] + parts[1]
            high += parts[2] + parts[3]
            if FORMAT == "int8":
                low -= (column_sums[0] + column_sums[1]) * INT8_OFFSET
                high -= (column_sums[0] + column_sums[1]) * INT8_OFFSET
        if SECTIONS > 1:
            if FP16:
                next_x = rounded(next_x, to_fp16, FORMAT, INLINE_PTX)
            x_words = next_x
            if FORMAT != "fp8":
                column_sums = column_sums_of(x_words, FP16, INLINE_PTX)
        if done:
            _finish_tile(
                low, high, scales, factor, biases, residuals, out, row, FORMAT, ACTIVATION,
                HAS_RESIDUAL,
            )  # fmt: skip
            low = tl.zeros((THREADS,), tl.float32)
            high = tl.zeros((THREADS,), tl.float32)
        scales = next_scales
