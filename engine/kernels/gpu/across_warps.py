"""A softmax's parts, each warp's of other keys, made one: with as little waiting as there can be.

A reduction over warps as Triton has it waits for all of them a few times. Here the values change
hands once, by a change of layout that `tl.split` asks for: afterwards a thread has all warps' of
those that it adds up.
"""

import triton
import triton.language as tl


@triton.constexpr_function
def halved(rows: int, warps: int, columns: int) -> tuple[int, ...]:
    """The shape `[rows, warps, columns]`, both halved into dimensions of two."""
    return (rows, *[2] * ((warps * columns).bit_length() - 1))


@triton.jit
def _joined(values, FIRST: tl.constexpr, STEP: tl.constexpr):
    """Every `STEP`-th of the values from `FIRST` on, in new last dimensions of two."""
    joined = values[FIRST]
    if len(values) > STEP:
        joined = tl.join(_joined(values, FIRST, 2 * STEP), _joined(values, FIRST + STEP, 2 * STEP))
    return joined


@triton.jit
def _largest(values):
    """Over all but the first dimension."""
    if len(values.shape) > 1:
        a, b = tl.split(values)
        values = _largest(tl.maximum(a, b))
    return values


@triton.jit
def _summed(values):
    """Over all but the first dimension."""
    if len(values.shape) > 1:
        a, b = tl.split(values)
        values = _summed(a + b)
    return values


@triton.jit
def _weighed(tops, totals, anchor):
    """The sum of `totals · 2^(tops - anchor)` over all but the first dimension."""
    if len(tops.shape) > 1:
        top, other_top = tl.split(tops)
        total, other_total = tl.split(totals)
        sums = _weighed(top, total, anchor) + _weighed(other_top, other_total, anchor)
    else:
        sums = totals * tl.exp2(tops - anchor)
    return sums


@triton.jit
def of_all_warps(tops, totals):
    """The largest of each of two `tops` over warps, and the sum of `totals` in terms of it.

    All are tuples of two `[threads]`; where no top is above -inf, the sum is 0.
    """
    THREADS: tl.constexpr = tops[0].shape[0]
    WARPS: tl.constexpr = THREADS // 32
    parts = _joined((tops[0], tops[1], totals[0], totals[1]), 0, 1)
    parts = tl.permute(tl.reshape(parts, (WARPS, 32, 2, 2)), (1, 3, 0, 2))
    every_top, every_total = tl.split(tl.reshape(parts, halved(64, WARPS, 2)))
    largest = _largest(every_top)
    anchor = tl.where(largest == float("-inf"), 0.0, largest)
    total = _weighed(every_top, every_total, anchor)
    even, odd = tl.split(tl.reshape(anchor, (32, 2)))
    even_total, odd_total = tl.split(tl.reshape(total, (32, 2)))
    return (
        (_to_all_warps(even, WARPS), _to_all_warps(odd, WARPS)),
        (_to_all_warps(even_total, WARPS), _to_all_warps(odd_total, WARPS)),
    )


@triton.jit
def _to_all_warps(x, WARPS: tl.constexpr):
    """`[32]` to each warp."""
    return tl.reshape(tl.broadcast_to(x[None, :], (WARPS, 32)), (WARPS * 32,))


@triton.jit
def summed_heads(parts):
    """The sum over warps of results of `fragments.multiply`, `[8 · head_dim]`, eight heads.

    `parts` are four for each 16 dimensions: of dimension `64h + 8g + 2i` the heads `2t` and
    `2t + 1`, and of the next dimension.
    """
    WARPS: tl.constexpr = parts[0].shape[0] // 32
    RUNS: tl.constexpr = len(parts) // 16
    each = tl.reshape(_joined(parts, 0, 1), (WARPS, 8, 4, RUNS, 4, 2, 2))
    each = tl.permute(each, (2, 6, 3, 1, 4, 5, 0))
    return _summed(tl.reshape(each, halved(8 * RUNS * 64, WARPS, 1)))
