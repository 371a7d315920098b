"""The products of `skinny_mma`: a unit of weights by the row of activations, column by column."""

import triton
import triton.language as tl

from ..common.fragments import fp8_pairs, int4_pairs, int8_pairs, lane_place, multiply, quarters
from .gemv_packed_inputs import planes_of_unit


@triton.jit
def _pairs(words, PLANE: tl.constexpr, FORMAT: tl.constexpr, FAST: tl.constexpr):
    """Plane `PLANE` of int4 or int8 words."""
    if FORMAT == "int4":
        return int4_pairs(words, PLANE, FAST)
    return int8_pairs(words, PLANE, FAST)


@triton.jit
def _multiply_plane(
    low, high, x, sums, plane: tl.constexpr, place: tl.constexpr, FORMAT: tl.constexpr,
    FAST: tl.constexpr,
):  # fmt: skip
    """`sums` plus the products of a unit's `plane`, whose inputs lie at `place` of a column's."""
    for half in tl.static_range(2):
        if FORMAT == "fp8":
            # A word has the inputs of one product.
            a0, a2 = fp8_pairs(low[2 * plane + half], FAST)
            a1, a3 = fp8_pairs(high[2 * plane + half], FAST)
        else:
            # Two words have those of one, in each plane.
            a0 = _pairs(low[2 * half], plane, FORMAT, FAST)
            a1 = _pairs(high[2 * half], plane, FORMAT, FAST)
            a2 = _pairs(low[2 * half + 1], plane, FORMAT, FAST)
            a3 = _pairs(high[2 * half + 1], plane, FORMAT, FAST)
        b0 = x[place * 4 + half * 2]
        b1 = x[place * 4 + half * 2 + 1]
        sums = multiply(a0, a1, a2, a3, b0, b1, sums, FORMAT != "int4", FAST)
    return sums


@triton.jit
def multiply_unit(
    low, high, x, zero, FORMAT: tl.constexpr, SHARED: tl.constexpr, FAST: tl.constexpr
):
    """A result for each column of a unit, added to `zero`."""
    low = quarters(low)
    high = quarters(high)
    columns = ()
    for first in tl.static_range(0, planes_of_unit(FORMAT), SHARED):
        sums = (zero, zero, zero, zero)
        for place in tl.static_range(SHARED):
            sums = _multiply_plane(low, high, x, sums, first + place, place, FORMAT, FAST)
        columns += (sums,)  # type: ignore[assignment]  # it grows
    return columns


@triton.jit
def zero_after_loads(warp, WARPS: tl.constexpr, FAST: tl.constexpr):
    """Zeros, of which a compiler knows only that they come after the loads above them.

    Otherwise it puts off all loads to the end of the products that do not need them.
    """
    zero = warp.to(tl.float32) * 0.0
    if FAST:
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
    """Of the results of all columns, the four parts of which a thread has each column's own."""
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
