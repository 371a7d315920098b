"""The kernel of decode attention: one split of a sequence's keys, for the heads of one KV head."""

import triton
import triton.language as tl

from ..common.dependent_launch import wait_for_previous
from .fp8_pairs import attend_pairs, join_dims, load_pairs, split_dims
from .key_splits import merge_if_last
from .online_softmax import add_tile, softcap, tile_scores
from .paged_kv import for_tile, load_kv_tile, to_cache_dtype, token_slots


@triton.jit
def _rotation(column, cos_ptr, sin_ptr, HEAD_DIM: tl.constexpr):
    """Cosines and signed sines for a head's elements `column`, of a table's row of half as many."""
    HALF: tl.constexpr = HEAD_DIM // 2
    in_head = column < HEAD_DIM
    pair = tl.where(column < HALF, column, column - HALF)
    cos = tl.load(cos_ptr + pair, mask=in_head, other=1.0)
    sin = tl.load(sin_ptr + pair, mask=in_head, other=0.0)
    return cos, tl.where(column < HALF, -sin, sin)


@triton.jit
def _partner(column, HEAD_DIM: tl.constexpr):
    """The element that each one is rotated with."""
    HALF: tl.constexpr = HEAD_DIM // 2
    return tl.where(column < HALF, column + HALF, column - HALF)


@triton.jit
def _load_heads(ptrs, column, keep, HEAD_DIM: tl.constexpr):
    """Heads `[heads, head_dim]` at `ptrs`, and each element's partner in the rotation.

    `column` `[1, head_dim]` counts a head's elements.
    """
    partner = _partner(column, HEAD_DIM)
    x = tl.load(ptrs + column, mask=keep, other=0.0)
    return x, tl.load(ptrs + partner, mask=keep, other=0.0)


@triton.jit
def _rotated(
    x, partner, column, cos, sin, norm_ptr, eps, HEAD_DIM: tl.constexpr, NORM: tl.constexpr
):  # fmt: skip
    """The heads of `_load_heads`, normed and rotated, in fp32, as `rotate_and_store` does."""
    x, partner = x.to(tl.float32), partner.to(tl.float32)
    if NORM:
        in_head = column < HEAD_DIM
        other = _partner(column, HEAD_DIM)
        weight = tl.load(norm_ptr + column, mask=in_head, other=0.0).to(tl.float32)
        other_weight = tl.load(norm_ptr + other, mask=in_head, other=0.0).to(tl.float32)
        inverse = tl.rsqrt(tl.sum(x * x, axis=1) / HEAD_DIM + eps)[:, None]
        x *= inverse * weight
        partner *= inverse * other_weight
    return x * cos + partner * sin


@triton.jit
def _repeated(x, TIMES: tl.constexpr):
    """`x` `[rows, columns]`, so many times: `[times · rows, columns]`."""
    ROWS: tl.constexpr = x.shape[0]
    COLUMNS: tl.constexpr = x.shape[1]
    return tl.reshape(
        tl.broadcast_to(x[None, :, :], (TIMES, ROWS, COLUMNS)), (TIMES * ROWS, COLUMNS)
    )


@triton.jit
def _attend(acc, row_max, row_sum, q, k, v, seen, score_scale, cap, CAPPED: tl.constexpr):
    """One tile's step of the online softmax."""
    scores = tile_scores(q, k, score_scale, cap, CAPPED)
    scores = tl.where(seen[None, :], scores, float("-inf"))
    # A padding row sees no key.
    return add_tile(acc, row_max, row_sum, scores, v, True)


@triton.jit
def _attend_one(acc, row_max, row_sum, q, k, v, score_scale, cap, CAPPED: tl.constexpr):
    """`_attend` for one key `[1, head_dim]` and queries that may have fewer rows than `acc`."""
    TIMES: tl.constexpr = acc.shape[0] // q.shape[0]
    score = tl.sum(q.to(tl.float32) * k.to(tl.float32), axis=1, keep_dims=True) * score_scale
    if CAPPED:
        score = softcap(score, cap)
    score = tl.reshape(_repeated(score, TIMES), (acc.shape[0],))
    new_max = tl.maximum(row_max, score)
    shrink = tl.exp2(row_max - new_max)
    weight = tl.exp2(score - new_max)
    acc = acc * shrink[:, None] + weight[:, None] * v.to(tl.float32)
    return acc, new_max, row_sum * shrink + weight


@triton.jit(do_not_specialize=["table_ptr", "lens_ptr", "slots_ptr", "table_stride", "table_width"])
def decode_kernel(
    qkv_ptr,
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
    qkv_stride,
    table_stride,
    out_stride,
    table_width,
    eps,
    score_scale,
    cap,
    SPLITS: tl.constexpr,
    SPLIT_KEYS: tl.constexpr,
    GROUP: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    WINDOW: tl.constexpr,
    CAPPED: tl.constexpr,
    NORM: tl.constexpr,
    PREFETCH: tl.constexpr,
    BLOCK_H: tl.constexpr,
    BLOCK_G: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
    PER_LOAD: tl.constexpr,
    PAIRS: tl.constexpr,
    INLINE_PTX: tl.constexpr,
    PDL: tl.constexpr,
):
    """A program of `(kv_head, sequence, split)`: every `active`-th tile from the `split`-th on.

    Queries, and the key and value of the new token, come from the projection as it is: the first
    split's program takes the new token, and stores it. With `PREFETCH` the first tile is loaded
    before the kernel before has finished. With `PAIRS` the cache is fp8 and read as `fp8_pairs`.
    """
    kv_head = tl.program_id(0)
    sequence = tl.program_id(1)
    split = tl.program_id(2)
    table = table_ptr + sequence.to(tl.int64) * table_stride
    offs_n = tl.arange(0, BLOCK_N)
    seq_len = tl.load(lens_ptr + sequence)
    cached = tl.maximum(seq_len - 1, 0)
    start = 0
    if WINDOW > 0:
        start = tl.maximum(seq_len - WINDOW, 0)
    if PREFETCH:
        # Unless there is a window, this does not wait for the length.
        token = start + split * BLOCK_N + offs_n
        slot = token_slots(table, token, token < table_width * BLOCK_TOKENS, BLOCK_TOKENS)
    active = tl.minimum(tl.cdiv(tl.maximum(cached - start, 0), SPLIT_KEYS), SPLITS)
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
    kv_dtype: tl.constexpr = kv_ptr.dtype.element_ty
    row = qkv_ptr + sequence.to(tl.int64) * qkv_stride
    KV_STRIDE: tl.constexpr = KV_HEADS * HEAD_DIM
    HALF: tl.constexpr = HEAD_DIM // 2
    position = tl.maximum(seq_len - 1, 0)
    cos, sin = _rotation(column, cos_ptr + position * HALF, sin_ptr + position * HALF, HEAD_DIM)
    new_slot = tl.load(slots_ptr + sequence).to(tl.int64)
    if PREFETCH:
        # What earlier steps stored does not depend on the kernel before.
        seen = token < cached
        first_k, first_v = load_kv_tile(kv_ptrs, slot, seen, in_head, KV_STRIDE, True)
    wait_for_previous(PDL)

    new = row + (KV_HEADS * GROUP + kv_head) * HEAD_DIM + tl.zeros((1, 1), tl.int32)
    new_v = tl.load(new + KV_STRIDE + column, mask=in_head, other=0.0)
    new_x, new_partner = _load_heads(new, column, in_head, HEAD_DIM)
    member = tl.arange(0, BLOCK_G)[:, None]
    group = row + (kv_head * GROUP + member) * HEAD_DIM
    x, partner = _load_heads(group, column, (member < GROUP) & in_head, HEAD_DIM)
    group_q = _rotated(x, partner, column, cos, sin, q_norm_ptr, eps, HEAD_DIM, NORM)
    group_q = group_q.to(qkv_ptr.dtype.element_ty)
    # The rows that a product needs beyond the group's repeat them.
    q = for_tile(_repeated(group_q, BLOCK_H // BLOCK_G), kv_dtype)
    row_max = tl.full((BLOCK_H,), float("-inf"), tl.float32)
    row_sum = tl.zeros((BLOCK_H,), tl.float32)
    acc = tl.zeros((BLOCK_H, BLOCK_D), tl.float32)
    tile = start + split * BLOCK_N
    if PREFETCH:
        acc, row_max, row_sum = _attend(
            acc, row_max, row_sum, q, first_k, first_v, seen, score_scale, cap, CAPPED
        )
        tile += active * BLOCK_N
    if PAIRS:
        q_even, q_odd = split_dims(q)
        acc_even = tl.zeros((BLOCK_H, BLOCK_D // 2), tl.float32)
        acc_odd = tl.zeros((BLOCK_H, BLOCK_D // 2), tl.float32)
        word = tl.arange(0, BLOCK_D // 2)[None, :]
        word_ptrs = (kv_ptr + kv_head * HEAD_DIM).to(tl.pointer_type(tl.int16), bitcast=True) + word
        for first in tl.range(tile, cached, active * BLOCK_N, num_stages=STAGES):
            token = first + offs_n
            seen = token < cached
            slot = token_slots(table, token, seen, BLOCK_TOKENS)
            k, v = load_pairs(word_ptrs, slot, seen, KV_STRIDE)
            acc_even, acc_odd, row_max, row_sum = attend_pairs(
                acc_even, acc_odd, row_max, row_sum, q_even, q_odd, k, v, seen, score_scale, cap,
                CAPPED, INLINE_PTX,
            )  # fmt: skip
        acc = join_dims(acc_even, acc_odd)
    else:
        for first in tl.range(tile, cached, active * BLOCK_N, num_stages=STAGES):
            token = first + offs_n
            seen = token < cached
            slot = token_slots(table, token, seen, BLOCK_TOKENS)
            k, v = load_kv_tile(kv_ptrs, slot, seen, in_head, KV_STRIDE, True)
            acc, row_max, row_sum = _attend(
                acc, row_max, row_sum, q, k, v, seen, score_scale, cap, CAPPED
            )
    # The new token comes last, so that the cached keys need not wait for it.
    takes_new = (split == 0) & (seq_len > 0)
    if takes_new:
        new_k = _rotated(new_x, new_partner, column, cos, sin, k_norm_ptr, eps, HEAD_DIM, NORM)
        new_k = to_cache_dtype(new_k, kv_dtype)
        stored_v = to_cache_dtype(new_v.to(tl.float32), kv_dtype)
        has_slot = in_head & (new_slot >= 0)
        tl.store(kv_ptrs + new_slot * (2 * KV_STRIDE), new_k, mask=has_slot)
        tl.store(kv_ptrs + new_slot * (2 * KV_STRIDE) + KV_STRIDE, stored_v, mask=has_slot)
        acc, row_max, row_sum = _attend_one(
            acc, row_max, row_sum, group_q, new_k, stored_v, score_scale, cap, CAPPED
        )
    acc = acc * (1.0 / tl.where(row_sum > 0.0, row_sum, 1.0))[:, None]

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
        tl.store(lse_ptrs, row_max + tl.log2(row_sum), mask=offs_h < GROUP)
        merge_if_last(
            arrived_ptr + pair, partial_ptr, lse_ptr, out_ptr, active, SPLITS, GROUP, HEAD_DIM,
            BLOCK_G, BLOCK_D, PER_LOAD,
        )  # fmt: skip
