"""A tile of `gemv_packed`: sixteen rows of the weight, loaded and multiplied unit by unit."""

import triton
import triton.language as tl

from ..common.fragments import fp8_pairs, int4_pairs, int8_pairs, lane_place, multiply, quarters
from .gemv_packed_inputs import planes_of_unit
from .unpack import INT4_OFFSET, scale_and_zero


@triton.jit
def section_place(step, warp, SECTIONS: tl.constexpr, UNITS: tl.constexpr):
    """The tile of a program's `step`, and the first unit that the warp has in it."""
    tile = tl.program_id(0) + step // SECTIONS * tl.num_programs(0)
    return tile, (warp * SECTIONS + step % SECTIONS) * UNITS


@triton.jit
def rows_of_tile(tile, features, GATED: tl.constexpr):
    """The first row of a tile, and how far behind its first eight rows the others are.

    With a gate the first are gate rows, and the others the up rows that belong to them.
    """
    if GATED:
        return tile * 8, features // 2
    return tile * 16, 8


@triton.jit
def load_unit(
    weight, tile, tiles, unit, half: tl.constexpr, features, inputs, FORMAT: tl.constexpr,
    GATED: tl.constexpr, THREADS: tl.constexpr,
):  # fmt: skip
    """`[threads, 4]` words of rows `g` (`half` 0) or `g + 8` of `tile`; any, if there is none."""
    _, g, t = lane_place(THREADS)
    first_row, apart = rows_of_tile(tile, features, GATED)
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
def load_scales(
    scale, tile, tiles, first_unit, features, FORMAT: tl.constexpr, GROUP: tl.constexpr,
    GATED: tl.constexpr, UNITS: tl.constexpr, THREADS: tl.constexpr,
):  # fmt: skip
    """What a section's sums are scaled by.

    int4: for columns `2t` and `2t + 1` scale and zero in a word, `[threads]`, of rows `g` and then
    of rows `g + 8`. Otherwise the scales of the tile's rows, in two halves of eight.
    """
    first_row, apart = rows_of_tile(tile, features, GATED)
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
def load_rows(values, row, apart, wanted, LOADS: tl.constexpr):
    """What is added to a tile's rows, in two halves of eight: zeros without LOADS."""
    low = tl.zeros((8,), tl.float32)
    high = tl.zeros((8,), tl.float32)
    if LOADS:
        low += tl.load(values + row, mask=wanted, other=0.0).to(tl.float32)
        high += tl.load(values + row + apart, mask=wanted, other=0.0).to(tl.float32)
    return low, high


@triton.jit
def _pairs(words, PLANE: tl.constexpr, FORMAT: tl.constexpr, INLINE_PTX: tl.constexpr):
    """Plane `PLANE` of int4 or int8 words."""
    if FORMAT == "int4":
        return int4_pairs(words, PLANE, INLINE_PTX)
    return int8_pairs(words, PLANE, INLINE_PTX)


@triton.jit
def _multiply_plane(
    low, high, x, sums, plane: tl.constexpr, place: tl.constexpr, FORMAT: tl.constexpr,
    INLINE_PTX: tl.constexpr,
):  # fmt: skip
    """`sums` plus the products of a unit's `plane`, whose inputs lie at `place` of a column's."""
    for half in tl.static_range(2):
        if FORMAT == "fp8":
            # A word has the inputs of one product.
            a0, a2 = fp8_pairs(low[2 * plane + half], INLINE_PTX)
            a1, a3 = fp8_pairs(high[2 * plane + half], INLINE_PTX)
        else:
            # Two words have those of one, in each plane.
            a0 = _pairs(low[2 * half], plane, FORMAT, INLINE_PTX)
            a1 = _pairs(high[2 * half], plane, FORMAT, INLINE_PTX)
            a2 = _pairs(low[2 * half + 1], plane, FORMAT, INLINE_PTX)
            a3 = _pairs(high[2 * half + 1], plane, FORMAT, INLINE_PTX)
        b0 = x[place * 4 + half * 2]
        b1 = x[place * 4 + half * 2 + 1]
        sums = multiply(a0, a1, a2, a3, b0, b1, sums, FORMAT != "int4", INLINE_PTX)
    return sums


@triton.jit
def multiply_unit(
    low, high, x, zero, FORMAT: tl.constexpr, SHARED: tl.constexpr, INLINE_PTX: tl.constexpr
):
    """A result for each column of a unit, added to `zero`: a tuple of tuples of four `[threads]`.

    `low` and `high` are the unit's words `[threads, 4]` of rows `g` and `g + 8`.
    """
    low = quarters(low)
    high = quarters(high)
    columns = ()
    for first in tl.static_range(0, planes_of_unit(FORMAT), SHARED):
        sums = (zero, zero, zero, zero)
        for place in tl.static_range(SHARED):
            sums = _multiply_plane(low, high, x, sums, first + place, place, FORMAT, INLINE_PTX)
        columns += (sums,)  # type: ignore[assignment]  # it grows
    return columns


@triton.jit
def opaque_zeros(warp, WARPS: tl.constexpr, INLINE_PTX: tl.constexpr):
    """Opaque zeros `[threads]`: keep the compiler from sinking loads past the MMAs.

    The products are added to them, so that these come after the loads above.
    """
    zero = warp.to(tl.float32) * 0.0
    if INLINE_PTX:
        # A barrier of as few warps as there are names for: 16, of which the first is Triton's.
        TOGETHER: tl.constexpr = max(1, WARPS // 8)
        zero = tl.inline_asm_elementwise(
            "{ .reg .pred no; setp.ne.s32 no, 0, 0; "
            f"barrier.cta.red.popc.aligned.u32 $0, $1, {32 * TOGETHER}, no; }}",
            "=r,r",
            [warp // TOGETHER + 1],
            dtype=tl.int32,
            is_pure=False,
            pack=1,
        ).to(tl.float32, bitcast=True)
    return zero


@triton.jit
def own_columns(sums, THREADS: tl.constexpr):
    """The diagonal of the results of all columns: from each column, its own inputs' products.

    In the four parts of a result: columns `2t` and `2t + 1` of rows `g` and `g + 8`.
    """
    _, _, t = lane_place(THREADS)
    zero = tl.zeros((THREADS,), tl.float32)
    parts = (zero, zero, zero, zero)
    for pair in tl.static_range((len(sums) + 1) // 2):
        even = sums[2 * pair]
        odd = sums[min(2 * pair + 1, len(sums) - 1)]
        parts = (
            tl.where(t == pair, even[0], parts[0]),
            tl.where(t == pair, odd[1], parts[1]),
            tl.where(t == pair, even[2], parts[2]),
            tl.where(t == pair, odd[3], parts[3]),
        )
    return parts


@triton.jit
def multiply_section(
    weight, ahead, x, next_tile, tiles, next_unit, features, inputs, FORMAT: tl.constexpr,
    GATED: tl.constexpr, UNITS: tl.constexpr, SHARED: tl.constexpr, THREADS: tl.constexpr,
    INLINE_PTX: tl.constexpr,
):  # fmt: skip
    """The products of a section, in the four parts of a result, and the weights then on their way.

    `ahead` has the units that were asked for, this section's first. As soon as a unit's weights are
    spent, those of the section to come next are asked for.
    """
    warp, _, _ = lane_place(THREADS)
    sums = ()
    following = ()
    for index in tl.static_range(2 * UNITS, len(ahead)):
        following += (ahead[index],)  # type: ignore[assignment]  # it grows
    zero = tl.zeros((THREADS,), tl.float32)
    for index in tl.static_range(UNITS):
        sums += multiply_unit(
            ahead[2 * index], ahead[2 * index + 1], x, zero, FORMAT, SHARED, INLINE_PTX
        )
        for half in tl.static_range(2):
            following += (  # type: ignore[assignment]  # it grows
                load_unit(
                    weight, next_tile, tiles, next_unit + index, half, features, inputs, FORMAT,
                    GATED, THREADS,
                ),
            )  # fmt: skip
        # int8 gains 10 % of a step by it; int4 and fp8, with more to unpack, lose 1 and 4 %.
        if FORMAT == "int8" and index + 1 < UNITS:
            zero = opaque_zeros(warp, THREADS // 32, INLINE_PTX)
    return own_columns(sums, THREADS), following


@triton.jit
def scaled_columns(first, second, sums, words, first_word: tl.constexpr):
    """Two columns' products by their scales, with what the zeros and the constant add."""
    total = tl.zeros_like(first)
    products = (first, second)
    for index in tl.static_range(2):
        factor, zero = scale_and_zero(words[first_word + index])
        total += products[index] * factor + sums[index] * (zero - INT4_OFFSET * factor)
    return total
