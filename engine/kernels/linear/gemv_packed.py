"""One row by a packed weight on the tensor cores, the weight straight from memory to registers.

Sixteen rows of the weight, a tile, go through at a time. The layouts in which packed weights are
stored (`precision/planes.py`, `pack_int4`, e4m3 row by row) are such that the 16 bytes a thread
loads are what the tensor cores want of it (`fragments`), once a few instructions have made pairs of
bf16 or fp16 of them: nothing goes through shared memory, and no warp waits for another before a
tile is done. The inputs are cut among the warps, and a warp's into sections, of which it has one on
its way while it works on another.

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
    gained,
    largest_of,
    load_column,
    planes_of_column,
    planes_of_unit,
    rounded,
    scale_of_inputs,
)
from .gemv_packed_tile import multiply_unit, own_columns, zero_after_loads
from .skinny_fusion import activate
from .skinny_planes import INT4_OFFSET
from .skinny_prologue import row_statistics


@triton.jit
def _place(step, warp, SECTIONS: tl.constexpr, UNITS: tl.constexpr):
    """The tile of a program's `step`, and the first unit that the warp has in it."""
    tile = tl.program_id(0) + step // SECTIONS * tl.num_programs(0)
    return tile, (warp * SECTIONS + step % SECTIONS) * UNITS


@triton.jit
def _rows_of(tile, features, GATED: tl.constexpr):
    """The first row of a tile, and how far behind its first eight rows the others are.

    With a gate the first are gate rows, and the others the up rows that belong to them.
    """
    if GATED:
        return tile * 8, features // 2
    return tile * 16, 8


@triton.jit
def _load_unit(
    weight, tile, tiles, unit, half: tl.constexpr, features, inputs, FORMAT: tl.constexpr,
    GATED: tl.constexpr, THREADS: tl.constexpr,
):  # fmt: skip
    """`[threads, 4]` words of rows `g` (`half` 0) or `g + 8` of `tile`; any, if there is none."""
    _, g, t = lane_place(THREADS)
    first_row, apart = _rows_of(tile, features, GATED)
    row = first_row + half * apart + g
    if FORMAT == "int4":
        offset = (unit * features + row) * 16 + t * 4
    else:
        offset = row * (inputs // 4) + unit * 16 + t * 4
    return tl.load(
        weight + offset[:, None] + tl.arange(0, 4)[None, :],
        mask=tile < tiles,
        eviction_policy="evict_first",
    )


@triton.jit
def _load_scales(
    scale, tile, tiles, first_unit, features, FORMAT: tl.constexpr, GROUP: tl.constexpr,
    GATED: tl.constexpr, UNITS: tl.constexpr, THREADS: tl.constexpr,
):  # fmt: skip
    """What a section's sums are scaled by.

    int4: for columns `2t` and `2t + 1` scale and zero in a word, `[threads]`, of rows `g` and then
    of rows `g + 8`. Otherwise the scales of the tile's rows, in two halves of eight.
    """
    first_row, apart = _rows_of(tile, features, GATED)
    words = ()
    if FORMAT == "int4":
        PART: tl.constexpr = min(GROUP, 128)
        _, g, t = lane_place(THREADS)
        for half in tl.static_range(2):
            for index in tl.static_range(2):
                column = 2 * t + index
                group = (first_unit * 128 + column * PART) // GROUP
                pointers = scale + group * features + first_row + half * apart + g
                mask = (column < UNITS * 128 // PART) & (tile < tiles)
                words += (tl.load(pointers, mask=mask, other=0),)  # type: ignore[assignment]  # it grows
    else:
        row = first_row + tl.arange(0, 8)
        for half in tl.static_range(2):
            words += (tl.load(scale + row + half * apart, mask=tile < tiles, other=0.0),)  # type: ignore[assignment]  # it grows
    return words


@triton.jit
def _scaled(first, second, sums, words, first_word: tl.constexpr):
    """Two columns' products by their scales, with what the zeros and the constant add."""
    total = tl.zeros_like(first)
    products = (first, second)
    for index in tl.static_range(2):
        factor = (words[first_word + index] << 16).to(tl.float32, bitcast=True)
        zero = (words[first_word + index] & -65536).to(tl.float32, bitcast=True)
        total += products[index] * factor + sums[index] * (zero - INT4_OFFSET * factor)
    return total


@triton.jit
def _prepare(
    x, gains, first_unit, inputs, eps, FORMAT: tl.constexpr, NORM: tl.constexpr,
    UNITS: tl.constexpr, SECTIONS: tl.constexpr, SHARED: tl.constexpr, STATISTICS: tl.constexpr,
    THREADS: tl.constexpr, FAST: tl.constexpr,
):  # fmt: skip
    """The first section's inputs, what they were multiplied by to be fp16, and what the sums are
    to be multiplied by for that and for the norm."""
    x_words = load_column(x, first_unit, FORMAT, UNITS, SHARED, THREADS)
    factor = 1.0
    to_fp16 = 0.0
    if NORM:
        x_words, squares = gained(x_words, gains, FAST)
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
        x_words = rounded(x_words, to_fp16, FORMAT, FAST)
    return x_words, to_fp16, factor


@triton.jit
def _multiply_section(
    weight, coming, x, next_tile, tiles, next_unit, features, inputs, FORMAT: tl.constexpr,
    GATED: tl.constexpr, UNITS: tl.constexpr, SHARED: tl.constexpr, THREADS: tl.constexpr,
    FAST: tl.constexpr,
):  # fmt: skip
    """The products of a section, in the four parts of a result, and `coming` without its weights.

    As soon as a unit's weights are spent, those of the section to come next are asked for.
    """
    warp, _, _ = lane_place(THREADS)
    sums = ()
    following = ()
    for index in tl.static_range(2 * UNITS, len(coming)):
        following += (coming[index],)  # type: ignore[assignment]  # it grows
    zero = tl.zeros((THREADS,), tl.float32)
    for index in tl.static_range(UNITS):
        sums += multiply_unit(
            coming[2 * index], coming[2 * index + 1], x, zero, FORMAT, SHARED, FAST
        )
        for half in tl.static_range(2):
            following += (  # type: ignore[assignment]  # it grows
                _load_unit(
                    weight, next_tile, tiles, next_unit + index, half, features, inputs, FORMAT,
                    GATED, THREADS,
                ),
            )  # fmt: skip
        # int8 gains 10 % of a step by it; int4 and fp8, with more to unpack, lose 1 and 4 %.
        if FORMAT == "int8" and index + 1 < UNITS:
            zero = zero_after_loads(warp, THREADS // 32, FAST)
    return own_columns(sums, THREADS), following


@triton.jit
def _finish_tile(
    low, high, scales, factor, more, residuals, out, row, FORMAT: tl.constexpr,
    ACTIVATION: tl.constexpr, HAS_RESIDUAL: tl.constexpr,
):  # fmt: skip
    """Add up what the threads have of a tile's rows, scale and activate it, and store it."""
    WARPS: tl.constexpr = low.shape[0] // 32
    both = tl.reshape(tl.join(low, high), (WARPS, 8, 4, 2))
    y_low, y_high = tl.split(tl.sum(tl.sum(both, 2), 0) * factor)
    if FORMAT != "int4":
        y_low *= scales[0].to(tl.float32)
        y_high *= scales[1].to(tl.float32)
    y_low += more[0]
    y_high += more[1]
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
def _load_rows(values, row, apart, wanted, LOADS: tl.constexpr):
    """What is added to a tile's rows, in two halves of eight: zeros without LOADS."""
    low = tl.zeros((8,), tl.float32)
    high = tl.zeros((8,), tl.float32)
    if LOADS:
        low += tl.load(values + row, mask=wanted, other=0.0).to(tl.float32)
        high += tl.load(values + row + apart, mask=wanted, other=0.0).to(tl.float32)
    return low, high


@triton.jit
def skinny_mma_kernel(
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
    FORMAT: tl.constexpr,
    GROUP: tl.constexpr,
    NORM: tl.constexpr,
    ACTIVATION: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    FAST: tl.constexpr,
    UNITS: tl.constexpr,
    SECTIONS: tl.constexpr,
    DEPTH: tl.constexpr,
    STATISTICS: tl.constexpr,
    THREADS: tl.constexpr,
    EARLY: tl.constexpr,
    PDL: tl.constexpr,
):
    """`out [features]` from `x [inputs]`, bf16 in pairs, as `gain` is.

    A program takes every so manyth tile. A warp has `SECTIONS` sections of `UNITS` units of the
    inputs, the weights of `DEPTH` of them on their way. EARLY lets the next kernel's programs in
    from the start.
    """
    GATED: tl.constexpr = ACTIVATION != ""
    SHARED: tl.constexpr = planes_of_column(FORMAT, GROUP, UNITS)
    FP16: tl.constexpr = FORMAT != "int4"
    tl.static_assert(UNITS * planes_of_unit(FORMAT) <= 8 * SHARED)
    tl.static_assert(SECTIONS == 1 or not NORM)
    tiles = features // 16
    warp, _, _ = lane_place(THREADS)

    if EARLY:
        let_next_in(PDL)
    coming = ()
    for ahead in tl.static_range(DEPTH):
        tile, unit = _place(ahead, warp, SECTIONS, UNITS)
        for index in tl.static_range(2 * UNITS):
            coming += (  # type: ignore[assignment]  # it grows
                _load_unit(
                    weight, tile, tiles, unit + index // 2, index % 2, features, inputs, FORMAT,
                    GATED, THREADS,
                ),
            )  # fmt: skip
    first_tile, first_unit = _place(0, warp, SECTIONS, UNITS)
    scales = _load_scales(
        scale, first_tile, tiles, first_unit, features, FORMAT, GROUP, GATED, UNITS, THREADS
    )
    gains = ()
    if NORM:
        gains = load_column(gain, first_unit, FORMAT, UNITS, SHARED, THREADS)
    wait_for_previous(PDL)

    x_words, to_fp16, factor = _prepare(
        x, gains, first_unit, inputs, eps, FORMAT, NORM, UNITS, SECTIONS, SHARED, STATISTICS,
        THREADS, FAST,
    )  # fmt: skip
    column_sums = (0.0, 0.0)
    if FORMAT != "fp8":
        column_sums = column_sums_of(x_words, FP16, FAST)
    low = tl.zeros((THREADS,), tl.float32)
    high = tl.zeros((THREADS,), tl.float32)
    mine = tl.cdiv(tiles - tl.program_id(0), tl.num_programs(0))
    for step in tl.range(0, mine * SECTIONS):
        tile, _ = _place(step, warp, SECTIONS, UNITS)
        next_tile, next_unit = _place(step + 1, warp, SECTIONS, UNITS)
        far_tile, far_unit = _place(step + DEPTH, warp, SECTIONS, UNITS)
        done = step % SECTIONS == SECTIONS - 1
        # From memory, like the weights, and so as far ahead; a warp would wait for it as long.
        coming_scales = _load_scales(
            scale, next_tile, tiles, next_unit, features, FORMAT, GROUP, GATED, UNITS, THREADS
        )
        # What is only needed at the end is asked for before the products.
        first_row, apart = _rows_of(tile, features, GATED)
        row = first_row + tl.arange(0, 8)
        more = _load_rows(bias, row, apart, done, HAS_BIAS)
        residuals = _load_rows(residual, row, 0 if GATED else 8, done, HAS_RESIDUAL)
        if SECTIONS > 1:
            following_x = load_column(x, next_unit, FORMAT, UNITS, SHARED, THREADS)
        parts, coming = _multiply_section(
            weight, coming, x_words, far_tile, tiles, far_unit, features, inputs, FORMAT, GATED,
            UNITS, SHARED, THREADS, FAST,
        )  # fmt: skip
        if FORMAT == "int4":
            low += _scaled(parts[0], parts[1], column_sums, scales, 0)
            high += _scaled(parts[2], parts[3], column_sums, scales, 2)
        else:
            low += parts[0] + parts[1]
            high += parts[2] + parts[3]
            if FORMAT == "int8":
                low -= (column_sums[0] + column_sums[1]) * INT8_OFFSET
                high -= (column_sums[0] + column_sums[1]) * INT8_OFFSET
        if SECTIONS > 1:
            if FP16:
                following_x = rounded(following_x, to_fp16, FORMAT, FAST)
            x_words = following_x
            if FORMAT != "fp8":
                column_sums = column_sums_of(x_words, FP16, FAST)
        if done:
            _finish_tile(
                low, high, scales, factor, more, residuals, out, row, FORMAT, ACTIVATION,
                HAS_RESIDUAL,
            )  # fmt: skip
            low = tl.zeros((THREADS,), tl.float32)
            high = tl.zeros((THREADS,), tl.float32)
        scales = coming_scales
