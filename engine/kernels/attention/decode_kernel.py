"""The kernel of decode attention: one share of a sequence's keys, for the heads of one KV head."""

import triton
import triton.language as tl

from ..common.dependent_launch import wait_for_previous
from .paging import as_stored, token_slots
from .shares import combine_if_last
from .softmax import capped


@triton.jit
def _rotation(column, cos_ptr, sin_ptr, HALF: tl.constexpr):
    """Cosines and signed sines for a head's elements `column`; 1 and 0 where it is not turned."""
    turns = column < 2 * HALF
    pair = tl.where(column < HALF, column, column - HALF)
    cos = tl.load(cos_ptr + pair, mask=turns, other=1.0)
    sin = tl.load(sin_ptr + pair, mask=turns, other=0.0)
    return cos, tl.where(column < HALF, -sin, sin)


@triton.jit
def _halves(ptrs, column, keep, HALF: tl.constexpr):
    """Heads `[heads, head_dim]` at `ptrs`, and of each element the one that it turns with.

    `column` `[1, head_dim]` counts a head's elements.
    """
    other = tl.where(column < HALF, column + HALF, column - HALF)
    x = tl.load(ptrs + column, mask=keep, other=0.0)
    return x, tl.load(ptrs + other, mask=keep & (column < 2 * HALF), other=0.0)


@triton.jit
def _turned(
    x, y, column, cos, sin, norm_ptr, eps, HALF: tl.constexpr, HEAD_DIM: tl.constexpr,
    NORM: tl.constexpr,
):  # fmt: skip
    """The heads of `_halves`, normed and turned, in fp32, as `rotate_and_store` does."""
    x, y = x.to(tl.float32), y.to(tl.float32)
    if NORM:
        turns = column < 2 * HALF
        other = tl.where(column < HALF, column + HALF, column - HALF)
        weight = tl.load(norm_ptr + column, mask=column < HEAD_DIM, other=0.0).to(tl.float32)
        other_weight = tl.load(norm_ptr + other, mask=turns, other=0.0).to(tl.float32)
        inverse = tl.rsqrt(tl.sum(x * x, axis=1) / HEAD_DIM + eps)[:, None]
        x *= inverse * weight
        y *= inverse * other_weight
    return x * cos + y * sin


@triton.jit
def _repeated(x, TIMES: tl.constexpr):
    """`x` `[rows, columns]`, so many times: `[times · rows, columns]`."""
    ROWS: tl.constexpr = x.shape[0]
    COLUMNS: tl.constexpr = x.shape[1]
    return tl.reshape(
        tl.broadcast_to(x[None, :, :], (TIMES, ROWS, COLUMNS)), (TIMES * ROWS, COLUMNS)
    )


@triton.jit
def _load_tile(
    kv_ptrs, slot, seen, in_head, KV_STRIDE: tl.constexpr, FP8: tl.constexpr
):  # fmt: skip
    """Keys and values `[tokens, head_dim]` of the slots that are `seen`; zeros for the others.

    What a block holds past the sequence's end is a stranger's, and may be NaN: never loaded.
    """
    k_ptrs = kv_ptrs + slot[:, None] * (2 * KV_STRIDE)
    keep = seen[:, None] & in_head
    k = tl.load(k_ptrs, mask=keep, other=0.0)
    v = tl.load(k_ptrs + KV_STRIDE, mask=keep, other=0.0)
    if FP8:
        k, v = k.to(tl.float16), v.to(tl.float16)
    return k, v


@triton.jit
def _attend(acc, top, total, q, k, v, seen, score_scale, cap, CAPPED: tl.constexpr):
    """One tile's step of the online softmax."""
    scores = tl.dot(q, tl.trans(k), input_precision="ieee") * score_scale
    if CAPPED:
        scores = capped(scores, cap)
    scores = tl.where(seen[None, :], scores, float("-inf"))
    new_top = tl.maximum(top, tl.max(scores, axis=1))
    # A padding row sees no key: -inf less -inf would be NaN.
    anchor = tl.where(new_top == float("-inf"), 0.0, new_top)
    shrink = tl.exp2(top - anchor)
    p = tl.exp2(scores - anchor[:, None])
    total = total * shrink + tl.sum(p, axis=1)
    acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None], input_precision="ieee")
    return acc, new_top, total


@triton.jit
def _attend_one(acc, top, total, q, k, v, score_scale, cap, CAPPED: tl.constexpr):
    """`_attend` for one key `[1, head_dim]` and queries that may have fewer rows than `acc`."""
    TIMES: tl.constexpr = acc.shape[0] // q.shape[0]
    score = tl.sum(q.to(tl.float32) * k.to(tl.float32), axis=1, keep_dims=True) * score_scale
    if CAPPED:
        score = capped(score, cap)
    score = tl.reshape(_repeated(score, TIMES), (acc.shape[0],))
    new_top = tl.maximum(top, score)
    shrink = tl.exp2(top - new_top)
    p = tl.exp2(score - new_top)
    acc = acc * shrink[:, None] + p[:, None] * v.to(tl.float32)
    return acc, new_top, total * shrink + p


@triton.jit(do_not_specialize=["table_ptr", "lens_ptr", "slots_ptr", "table_stride", "table_width"])
def decode_kernel(
    q_ptr,
    kv_ptr,
    table_ptr,
    lens_ptr,
    out_ptr,
    partial_ptr,
    lse_ptr,
    arrived_ptr,
    slots_ptr,
    cos_ptr,
    sin_ptr,
    q_norm_ptr,
    k_norm_ptr,
    q_stride,
    table_stride,
    out_stride,
    table_width,
    eps,
    score_scale,
    cap,
    k_scale,
    v_scale,
    SPLITS: tl.constexpr,
    SHARE: tl.constexpr,
    GROUP: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    WINDOW: tl.constexpr,
    CAPPED: tl.constexpr,
    FP8: tl.constexpr,
    CLEAN: tl.constexpr,
    TURN: tl.constexpr,
    HALF: tl.constexpr,
    NORM: tl.constexpr,
    EAGER: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_G: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
    AT_ONCE: tl.constexpr,
    PDL: tl.constexpr,
):
    """A program of `(kv_head, sequence, split)`: every `active`-th tile from the `split`-th on.

    With `TURN` the queries, and the key and value of the new token, come from the projection as it
    is: the first share's program takes the new token, and stores it. With `EAGER`, which asks for
    `TURN`, the first tile is loaded before the kernel before has finished.
    """
    kv_head = tl.program_id(0)
    sequence = tl.program_id(1)
    split = tl.program_id(2)
    table = table_ptr + sequence.to(tl.int64) * table_stride
    offs_n = tl.arange(0, BLOCK_N)
    seq_len = tl.load(lens_ptr + sequence)
    cached = tl.maximum(seq_len - 1, 0) if TURN else seq_len
    start = 0
    if WINDOW > 0:
        start = tl.maximum(seq_len - WINDOW, 0)
    if EAGER:
        # Unless there is a window, this does not wait for the length.
        token = start + split * BLOCK_N + offs_n
        slot = token_slots(table, token, token < table_width * BLOCK_TOKENS, BLOCK_TOKENS)
    active = tl.minimum(tl.cdiv(tl.maximum(cached - start, 0), SHARE), SPLITS)
    # A padding row has no keys; its first program writes zeros.
    active = tl.maximum(active, 1)
    if split >= active:
        return

    offs_h = tl.arange(0, BLOCK_H)
    offs_d = tl.arange(0, BLOCK_D)
    column = offs_d[None, :]
    in_head = column < HEAD_DIM
    real = (offs_h < GROUP)[:, None] & in_head
    kv_ptrs = kv_ptr + kv_head * HEAD_DIM + column
    row = q_ptr + sequence.to(tl.int64) * q_stride
    KV_STRIDE: tl.constexpr = KV_HEADS * HEAD_DIM
    if TURN:
        position = tl.maximum(seq_len - 1, 0)
        cos, sin = _rotation(column, cos_ptr + position * HALF, sin_ptr + position * HALF, HALF)
        new_slot = tl.load(slots_ptr + sequence).to(tl.int64)
    if EAGER:
        # What earlier steps stored does not depend on the kernel before.
        seen = token < cached
        first_k, first_v = _load_tile(kv_ptrs, slot, seen, in_head, KV_STRIDE, FP8)
    wait_for_previous(PDL)

    if TURN:
        new = row + (KV_HEADS * GROUP + kv_head) * HEAD_DIM + tl.zeros((1, 1), tl.int32)
        new_v = tl.load(new + KV_STRIDE + column, mask=in_head, other=0.0)
        new_x, new_y = _halves(new, column, in_head, HALF)
        member = tl.arange(0, BLOCK_G)[:, None]
        few = row + (kv_head * GROUP + member) * HEAD_DIM
        few_x, few_y = _halves(few, column, (member < GROUP) & in_head, HALF)
        few_q = _turned(few_x, few_y, column, cos, sin, q_norm_ptr, eps, HALF, HEAD_DIM, NORM)
        few_q = few_q.to(q_ptr.dtype.element_ty)
        # The rows that a product needs beyond the group's repeat them.
        q = _repeated(few_q, BLOCK_H // BLOCK_G)
    else:
        heads = row + (kv_head * GROUP + offs_h)[:, None] * HEAD_DIM
        q = tl.load(heads + column, mask=real, other=0.0)
    if FP8:
        q = tl.clamp(q.to(tl.float32), -65504.0, 65504.0).to(tl.float16)
    top = tl.full((BLOCK_H,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_H,), tl.float32)
    acc = tl.zeros((BLOCK_H, BLOCK_D), tl.float32)
    tile = start + split * BLOCK_N
    if EAGER:
        acc, top, total = _attend(
            acc, top, total, q, first_k, first_v, seen, score_scale, cap, CAPPED
        )
        tile += active * BLOCK_N
    for first in tl.range(tile, cached, active * BLOCK_N, num_stages=STAGES):
        token = first + offs_n
        seen = token < cached
        slot = token_slots(table, token, seen, BLOCK_TOKENS)
        k, v = _load_tile(kv_ptrs, slot, seen, in_head, KV_STRIDE, FP8)
        acc, top, total = _attend(acc, top, total, q, k, v, seen, score_scale, cap, CAPPED)
    if TURN:
        # Last, so that the cached keys need not wait for it.
        takes_new = (split == 0) & (seq_len > 0)
        if takes_new:
            new_k = _turned(new_x, new_y, column, cos, sin, k_norm_ptr, eps, HALF, HEAD_DIM, NORM)
            new_k = as_stored(new_k, k_scale, CLEAN, FP8).to(kv_ptr.dtype.element_ty)
            kept_v = as_stored(new_v.to(tl.float32), v_scale, CLEAN, FP8)
            kept_v = kept_v.to(kv_ptr.dtype.element_ty)
            stored = in_head & (new_slot >= 0)
            tl.store(kv_ptrs + new_slot * (2 * KV_STRIDE), new_k, mask=stored)
            tl.store(kv_ptrs + new_slot * (2 * KV_STRIDE) + KV_STRIDE, kept_v, mask=stored)
            acc, top, total = _attend_one(
                acc, top, total, few_q, new_k, kept_v, score_scale, cap, CAPPED
            )
    acc = acc * (v_scale / tl.where(total > 0.0, total, 1.0))[:, None]

    out_ptr += sequence.to(tl.int64) * out_stride + kv_head * GROUP * HEAD_DIM
    offsets = offs_h[:, None] * HEAD_DIM + offs_d[None, :]
    if active == 1:
        tl.store(out_ptr + offsets, acc.to(out_ptr.dtype.element_ty), mask=real)
        return
    if SPLITS > 1:
        pair = (sequence * KV_HEADS + kv_head).to(tl.int64)
        partial_ptr += pair * SPLITS * GROUP * HEAD_DIM
        lse_ptr += pair * SPLITS * GROUP
        tl.store(partial_ptr + split * GROUP * HEAD_DIM + offsets, acc, mask=real)
        lse_ptrs = lse_ptr + split * GROUP + offs_h
        tl.store(lse_ptrs, top + tl.log2(total), mask=offs_h < GROUP)
        combine_if_last(
            arrived_ptr + pair, partial_ptr, lse_ptr, out_ptr, active, SPLITS, GROUP, HEAD_DIM,
            BLOCK_G, BLOCK_D, AT_ONCE,
        )  # fmt: skip
