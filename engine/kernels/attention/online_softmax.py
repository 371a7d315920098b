"""The online softmax (Milakov & Gimelshein 2018), in base 2.

Scores are in units of log 2, so that the softmax needs exp2 alone.
"""

import triton
import triton.language as tl

LOG2_E = 1.4426950408889634


@triton.jit
def softcap(scores, cap):
    """`cap · tanh(scores / cap)` (Gemma 2), scores and cap both in units of log 2."""
    # tanh(x) = 1 - 2 / (e^2x + 1), and e^2x = 2^(x · 2 / ln 2).
    return cap - 2.0 * cap / (tl.exp2(2.8853900817779268 * scores / cap) + 1.0)


@triton.jit
def finite_max(row_max):
    """`row_max`, but 0 where no key was seen: -inf less -inf would be NaN."""
    return tl.where(row_max == float("-inf"), 0.0, row_max)


@triton.jit
def tile_products(q, k):
    """Products `[rows, keys]` of queries `[rows, head_dim]` and keys `[keys, head_dim]`."""
    return tl.dot(q, tl.trans(k), input_precision="ieee")


@triton.jit
def tile_scores(q, k, score_scale, cap, CAPPED: tl.constexpr):
    """Scores `[rows, keys]` of queries `[rows, head_dim]` and keys `[keys, head_dim]`."""
    scores = tile_products(q, k) * score_scale
    if CAPPED:
        scores = softcap(scores, cap)
    return scores


@triton.jit
def add_tile(acc, row_max, row_sum, scores, v, MAY_SEE_NONE: tl.constexpr, scale=1.0):
    """Add a tile's keys to the accumulator `[rows, head_dim]`, the maxima and the sums `[rows]`.

    `scores` `[rows, keys]`, still to be multiplied by a positive `scale`, are -inf for masked keys,
    `v` is `[keys, head_dim]`. `MAY_SEE_NONE`: a row may have seen no key yet.
    """
    new_max = tl.maximum(row_max, tl.max(scores, axis=1) * scale)
    anchor = finite_max(new_max) if MAY_SEE_NONE else new_max
    shrink = tl.exp2(row_max - anchor)
    # Scaled only here, that is one multiply-add an element.
    weights = tl.exp2(scores * scale - anchor[:, None])
    row_sum = row_sum * shrink + tl.sum(weights, axis=1)
    acc = tl.dot(weights.to(v.dtype), v, acc * shrink[:, None], input_precision="ieee")
    return acc, new_max, row_sum
