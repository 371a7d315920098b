"""Attention to tiles of e4m3 keys and values, read two at a time as words of 16 bits.

The tensor cores want the values of two neighbouring keys in one register. Of 16-bit elements a warp
loads them so from shared memory with one instruction; of bytes there is none, and the compiler
loads each byte by itself, which takes longer than the memory does. So a tile's elements are words
of two neighbouring dimensions, and a product is two: of the even dimensions and of the odd ones.

A byte `seeeemmm` becomes the fp16 number with the same sign, exponent and fraction bits, which is
`1 / SCALE` of its value, exactly, subnormal numbers too (their exponents' biases are 7 and 15). NaN
has no such number, and `to_cache_dtype` stores none.
"""

import triton
import triton.language as tl

from .online_softmax import finite_max, softcap

SCALE = tl.constexpr(256.0)
"""2 to the power of the difference of the biases."""


@triton.jit
def load_pairs(kv_ptrs, slot, seen, KV_STRIDE: tl.constexpr):
    """Words of keys and values `[tokens, head_dim / 2]`, int16, of the slots; 0 where not `seen`.

    `kv_ptrs` `[1, head_dim / 2]` point to the words of the first slot's key.
    """
    k_ptrs = kv_ptrs + slot[:, None] * KV_STRIDE
    k = tl.load(k_ptrs, mask=seen[:, None], other=0)
    v = tl.load(k_ptrs + KV_STRIDE // 2, mask=seen[:, None], other=0)
    return k, v


@triton.jit
def even_dims(words, INLINE_PTX: tl.constexpr):
    """The low bytes as fp16, over `SCALE`."""
    if INLINE_PTX:
        return tl.inline_asm_elementwise(
            "{ .reg .b32 sign; and.b32 sign, $1, 0x00800080; and.b32 $0, $1, 0x007f007f; "
            "shl.b32 sign, sign, 8; shl.b32 $0, $0, 7; or.b32 $0, $0, sign; }",
            "=&r,r",
            [words],
            dtype=tl.float16,
            is_pure=True,
            pack=2,
        )
    return (((words & 0x80) << 8) | ((words & 0x7F) << 7)).to(tl.int16).to(tl.float16, bitcast=True)


@triton.jit
def odd_dims(words, INLINE_PTX: tl.constexpr):
    """The high bytes as fp16, over `SCALE`."""
    if INLINE_PTX:
        return tl.inline_asm_elementwise(
            "{ .reg .b32 sign; and.b32 sign, $1, 0x80008000; and.b32 $0, $1, 0x7f007f00; "
            "shr.b32 $0, $0, 1; or.b32 $0, $0, sign; }",
            "=&r,r",
            [words],
            dtype=tl.float16,
            is_pure=True,
            pack=2,
        )
    return ((words & -32768) | ((words & 0x7F00) >> 1)).to(tl.int16).to(tl.float16, bitcast=True)


@triton.jit
def split_dims(q):
    """The even and the odd columns of `[rows, head_dim]`, each `[rows, head_dim / 2]`."""
    HALF: tl.constexpr = q.shape[1] // 2
    return tl.split(tl.reshape(q, (q.shape[0], HALF, 2)))


@triton.jit
def join_dims(even, odd):
    """The inverse of `split_dims`, of sums over values: in their own unit."""
    return tl.reshape(tl.join(even, odd), (even.shape[0], 2 * even.shape[1])) * SCALE


@triton.jit
def attend_pairs(
    acc_even,
    acc_odd,
    row_max,
    row_sum,
    q_even,
    q_odd,
    k,
    v,
    seen,
    score_scale,
    cap,
    CAPPED: tl.constexpr,
    INLINE_PTX: tl.constexpr,
):
    """One tile's step of the online softmax; a row may have seen no key yet.

    The accumulators `[rows, head_dim / 2]` are over `SCALE`. `q_even` and `q_odd` are fp16, `k` and
    `v` the words of `load_pairs`.
    """
    scores = tl.dot(q_even, tl.trans(even_dims(k, INLINE_PTX)))
    scores = tl.dot(q_odd, tl.trans(odd_dims(k, INLINE_PTX)), scores) * (score_scale * SCALE)
    if CAPPED:
        scores = softcap(scores, cap)
    scores = tl.where(seen[None, :], scores, float("-inf"))
    new_max = tl.maximum(row_max, tl.max(scores, axis=1))
    anchor = finite_max(new_max)
    shrink = tl.exp2(row_max - anchor)
    weights = tl.exp2(scores - anchor[:, None])
    row_sum = row_sum * shrink + tl.sum(weights, axis=1)
    weights = weights.to(tl.float16)
    acc_even = tl.dot(weights, even_dims(v, INLINE_PTX), acc_even * shrink[:, None])
    acc_odd = tl.dot(weights, odd_dims(v, INLINE_PTX), acc_odd * shrink[:, None])
    return acc_even, acc_odd, new_max, row_sum
