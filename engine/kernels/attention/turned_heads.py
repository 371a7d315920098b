"""Heads of a projection's row, normed and turned, and then as the tensor cores want them.

A head's words, of two bf16, are in two halves: what the rotation pairs lies in the same words of
both. So little is to be turned that each thread has a word or two; then heads change hands through
shared memory.
"""

import triton
import triton.language as tl

from ..common.fragments import paired, unpaired
from .across_warps import halved, leaves


@triton.jit
def load_pairs(values, COUNT: tl.constexpr):
    """Pairs of the first `2 · COUNT` values, in fp32: two of `[1, COUNT]`."""
    pointers = values + 2 * tl.arange(0, COUNT)[None, :]
    return tl.load(pointers).to(tl.float32), tl.load(pointers + 1).to(tl.float32)


@triton.jit
def turned(
    first, second, cos, sin, weights, eps, NORM: tl.constexpr, FAST: tl.constexpr
):  # fmt: skip
    """Heads' halves, `[heads, head_dim / 4]` words, turned and rounded.

    With NORM they go through RMSNorm first; `weights` are pairs for both halves.
    """
    x, next_x = unpaired(first, False)
    y, next_y = unpaired(second, False)
    if NORM:
        squares = x * x + next_x * next_x + y * y + next_y * next_y
        inverse = tl.rsqrt(tl.sum(squares, 1, keep_dims=True) / (4 * first.shape[1]) + eps)
        x *= inverse * weights[0][0]
        next_x *= inverse * weights[0][1]
        y *= inverse * weights[1][0]
        next_y *= inverse * weights[1][1]
    return (
        paired(x * cos[0] - y * sin[0], next_x * cos[1] - next_y * sin[1], False, FAST),
        paired(y * cos[0] + x * sin[0], next_y * cos[1] + next_x * sin[1], False, FAST),
    )


@triton.jit
def products(q, k):
    """Heads `q` by head `k`, both in halves of words: `[heads, 1]`."""
    total = tl.zeros(q[0].shape, tl.float32)
    for half in tl.static_range(2):
        low, high = unpaired(q[half], False)
        low_k, high_k = unpaired(k[half], False)
        total += low * low_k + high * high_k
    return tl.sum(total, 1, keep_dims=True)


@triton.jit
def in_fragments(heads, WARPS: tl.constexpr):
    """Eight heads, in halves, as columns of a product: a tuple of `[threads]`.

    Of head `g` thread `t` holds in each chunk of 32 dimensions the eight from `8t` on, in four
    words of which the second and the third have changed places.
    """
    COUNT: tl.constexpr = heads[0].shape[1]
    words = tl.reshape(tl.join(heads[0], heads[1]), (8, COUNT // 16, 4, 2, 2, 2))
    words = tl.permute(words, (0, 2, 5, 1, 4, 3))
    each = leaves(tl.reshape(words, halved((32,), COUNT // 2)), 1)
    everywhere = ()
    for index in tl.static_range(len(each)):
        shared = tl.broadcast_to(each[index][None, :], (WARPS, 32))
        everywhere += (tl.reshape(shared, (WARPS * 32,)),)  # type: ignore[assignment]  # it grows
    return everywhere
