"""A softmax's parts, each warp's of other keys, made one: with as little waiting as there can be.

A reduction over warps as Triton has it waits for all of them a few times. Here the values change
hands once, by a change of layout that `tl.split` asks for: afterwards a thread has all warps' of
those that it adds up.
"""

import triton
import triton.language as tl


@triton.constexpr_function
def halved(kept: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The shape `[*kept, size]`, its last dimension halved into dimensions of two."""
    return (*kept, *[2] * (size.bit_length() - 1))


@triton.jit
def joined(values, FIRST: tl.constexpr, STEP: tl.constexpr):
    """Every `STEP`-th of the values from `FIRST` on, in new last dimensions of two."""
    together = values[FIRST]
    if len(values) > STEP:
        together = tl.join(joined(values, FIRST, 2 * STEP), joined(values, FIRST + STEP, 2 * STEP))
    return together


@triton.jit
def leaves(values, KEPT: tl.constexpr):
    """The parts of `values` along all dimensions but the first `KEPT`, which are of two each."""
    parts = (values,)
    if len(values.shape) > KEPT:
        even, odd = tl.split(values)
        evens = leaves(even, KEPT)
        odds = leaves(odd, KEPT)
        parts = ()  # type: ignore[assignment]  # it grows
        for index in tl.static_range(len(evens)):
            parts += (evens[index], odds[index])  # type: ignore[assignment]  # it grows
    return parts


@triton.jit
def _of_heads(tops, totals, HEAD_DIM: tl.constexpr):
    """Each warp's `[8, head_dim]`, of eight heads one value each, which are `[warps, 4]`."""
    WARPS: tl.constexpr = tops[0].shape[0]
    both = joined((tops[0], tops[1], totals[0], totals[1]), 0, 1)
    heads = tl.reshape(tl.permute(both, (1, 3, 2, 0)), (8, 1, 2 * WARPS))
    heads = tl.broadcast_to(heads, (8, HEAD_DIM, 2 * WARPS))
    return leaves(tl.reshape(heads, halved((8, HEAD_DIM), 2 * WARPS)), 2)


@triton.jit
def merged(acc, tops, totals, new_score, new_value):
    """The softmax of all warps' keys and of a new one: `[8, head_dim]`, and of its sum log 2.

    `acc` are results of `fragments.multiply`, four for each 16 dimensions: of dimension
    `64h + 8g + 2i` the heads `2t` and `2t + 1`, and of the next dimension; `tops` and `totals`
    `[warps, 4]` for both of these heads. `new_score` is `[8, 1]`, -inf where there is none, and
    `new_value` `[1, head_dim]`.
    """
    WARPS: tl.constexpr = tops[0].shape[0]
    HEAD_DIM: tl.constexpr = len(acc) * 4
    statistics = _of_heads(tops, totals, HEAD_DIM)
    values = tl.reshape(joined(acc, 0, 1), (WARPS, 8, 4, HEAD_DIM // 64, 4, 2, 2))
    values = tl.permute(values, (2, 6, 3, 1, 4, 5, 0))
    values = leaves(tl.reshape(values, halved((8, HEAD_DIM), WARPS)), 2)
    top = tl.broadcast_to(new_score, (8, HEAD_DIM))
    for warp in tl.static_range(WARPS):
        top = tl.maximum(top, statistics[warp])
    # A padding row sees no key: -inf less -inf would be NaN.
    anchor = tl.where(top == float("-inf"), 0.0, top)
    weight = tl.exp2(new_score - anchor)
    total = weight
    result = weight * new_value
    for warp in tl.static_range(WARPS):
        weight = tl.exp2(statistics[warp] - anchor)
        total += weight * statistics[WARPS + warp]
        result += weight * values[warp]
    total = tl.where(total > 0.0, total, 1.0)
    return result / total, top + tl.log2(total)
