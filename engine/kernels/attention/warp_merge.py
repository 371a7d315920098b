"""Merge per-warp partial softmaxes (max, sum, accumulator) with one cross-warp exchange.

A reduction over warps as Triton has it synchronizes them several times. Here values cross warps
once, by the change of layout that `tl.split` asks for: afterwards a thread holds all warps' parts
of the elements that it adds up.
"""

import triton
import triton.language as tl

from .online_softmax import finite_max


@triton.constexpr_function
def binary_dims(leading: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The shape `[*leading, size]` with its last dimension, a power of two, cut into twos."""
    return (*leading, *[2] * (size.bit_length() - 1))


@triton.jit
def join_all(values, FIRST: tl.constexpr, STEP: tl.constexpr):
    """Join every `STEP`-th of the values from `FIRST` on, in new last dimensions of two."""
    joined = values[FIRST]
    if len(values) > STEP:
        joined = tl.join(
            join_all(values, FIRST, 2 * STEP), join_all(values, FIRST + STEP, 2 * STEP)
        )
    return joined


@triton.jit
def split_all(values, LEADING: tl.constexpr):
    """Split `values` along all dimensions but the first `LEADING`, which are of two each."""
    parts = (values,)
    if len(values.shape) > LEADING:
        even, odd = tl.split(values)
        evens = split_all(even, LEADING)
        odds = split_all(odd, LEADING)
        parts = ()  # type: ignore[assignment]  # it grows
        for index in tl.static_range(len(evens)):
            parts += (evens[index], odds[index])  # type: ignore[assignment]  # it grows
    return parts


@triton.jit
def _broadcast_statistics(maxima, sums, HEAD_DIM: tl.constexpr):
    """Each warp's maxima, then each warp's sums, as `[8, head_dim]` of eight heads' one value each.

    `maxima` and `sums` are each a pair of `[warps, 4]`: of even and of odd heads.
    """
    WARPS: tl.constexpr = maxima[0].shape[0]
    both = join_all((maxima[0], maxima[1], sums[0], sums[1]), 0, 1)
    heads = tl.reshape(tl.permute(both, (1, 3, 2, 0)), (8, 1, 2 * WARPS))
    heads = tl.broadcast_to(heads, (8, HEAD_DIM, 2 * WARPS))
    return split_all(tl.reshape(heads, binary_dims((8, HEAD_DIM), 2 * WARPS)), 2)


@triton.jit
def merge_warps(acc, maxima, sums, new_score, new_value):
    """The softmax of all warps' keys and of a new one: `[8, head_dim]`, and its base-2 log-sum-exp.

    `acc` are results of `fragments.multiply`, four for each 16 dimensions: of dimension
    `64h + 8g + 2i` the heads `2t` and `2t + 1`, and of the next dimension; `maxima` and `sums`
    `[warps, 4]` for both of these heads. `new_score` is `[8, 1]`, -inf where there is none, and
    `new_value` `[1, head_dim]`.
    """
    WARPS: tl.constexpr = maxima[0].shape[0]
    HEAD_DIM: tl.constexpr = len(acc) * 4
    statistics = _broadcast_statistics(maxima, sums, HEAD_DIM)
    values = tl.reshape(join_all(acc, 0, 1), (WARPS, 8, 4, HEAD_DIM // 64, 4, 2, 2))
    values = tl.permute(values, (2, 6, 3, 1, 4, 5, 0))
    values = split_all(tl.reshape(values, binary_dims((8, HEAD_DIM), WARPS)), 2)
    row_max = tl.broadcast_to(new_score, (8, HEAD_DIM))
    for warp in tl.static_range(WARPS):
        row_max = tl.maximum(row_max, statistics[warp])
    anchor = finite_max(row_max)
    weight = tl.exp2(new_score - anchor)
    row_sum = weight
    result = weight * new_value
    for warp in tl.static_range(WARPS):
        weight = tl.exp2(statistics[warp] - anchor)
        row_sum += weight * statistics[WARPS + warp]
        result += weight * values[warp]
    row_sum = tl.where(row_sum > 0.0, row_sum, 1.0)
    return result / row_sum, row_max + tl.log2(row_sum)
