"""Heads of a projection's row, normed, rotated, and laid out as tensor-core operands.

A head's words, of two bf16, are in two halves: what the rotation pairs lies in the same words of
both. There is so little to rotate that each thread has a word or two; then heads are exchanged
between threads through shared memory.
"""

import triton
import triton.language as tl

from ..common.fragments import paired, unpaired
from .warp_merge import binary_dims, split_all


@triton.jit
def load_pairs(values, COUNT: tl.constexpr):
    """Pairs of the first `2 · COUNT` values, in fp32: two of `[1, COUNT]`."""
    pointers = values + 2 * tl.arange(0, COUNT)[None, :]
    return tl.load(pointers).to(tl.float32), tl.load(pointers + 1).to(tl.float32)


@triton.jit
def rotate_halves(
    first, second, cos, sin, weights, eps, NORM: tl.constexpr, INLINE_PTX: tl.constexpr
):  # fmt: skip
    """Rotate heads' halves, `[heads, head_dim / 4]` words, and round them to bf16.

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
        paired(x * cos[0] - y * sin[0], next_x * cos[1] - next_y * sin[1], False, INLINE_PTX),
        paired(y * cos[0] + x * sin[0], next_y * cos[1] + next_x * sin[1], False, INLINE_PTX),
    )


@triton.jit
def dot_heads(q, k):
    """Scalar products `[heads, 1]` of heads `q` with head `k`, both in halves of words."""
    total = tl.zeros(q[0].shape, tl.float32)
    for half in tl.static_range(2):
        low, high = unpaired(q[half], False)
        low_k, high_k = unpaired(k[half], False)
        total += low * low_k + high * high_k
    return tl.sum(total, 1, keep_dims=True)


@triton.jit
def to_operand(heads, WARPS: tl.constexpr):
    """Eight heads, in halves, as the columns of every warp's product: a tuple of `[threads]` words.

    Of head `g` thread `t` holds in each chunk of 32 dimensions the eight from `8t` on, in four
    words of which the second and the third have changed places.
    """
    COUNT: tl.constexpr = heads[0].shape[1]
    words = tl.reshape(tl.join(heads[0], heads[1]), (8, COUNT // 16, 4, 2, 2, 2))
    words = tl.permute(words, (0, 2, 5, 1, 4, 3))
    lanes = split_all(tl.reshape(words, binary_dims((32,), COUNT // 2)), 1)
    operand = ()
    for index in tl.static_range(len(lanes)):
        copies = tl.broadcast_to(lanes[index][None, :], (WARPS, 32))
        operand += (tl.reshape(copies, (WARPS * 32,)),)  # type: ignore[assignment]  # it grows
    return operand
