"""The decode kernel of few sequences: keys and values straight from memory to tensor cores.

With few sequences a program's own latency counts. So each warp has tiles of keys of its own, for
all query heads of a KV head, and no warp waits for another before the keys are done (`key_tiles`).
The first keys and values are loaded before the kernel before has finished: what earlier steps
stored does not depend on it. The new token is not in the cache yet: the first split's program adds
it last.
"""

import triton
import triton.language as tl

from ..common.dependent_launch import wait_for_previous
from ..common.fragments import lane_place
from .key_splits import merge_if_last
from .key_tiles import (
    add_values,
    add_weights,
    by_column,
    key_scores,
    key_weights,
    load_keys,
    load_values,
    rescale,
    score_maxima,
    tile_words,
)
from .online_softmax import softcap
from .rotated_heads import dot_heads, load_pairs, rotate_halves, to_operand
from .warp_merge import merge_warps


@triton.jit(
    do_not_specialize=[
        "table_ptr",
        "lens_ptr",
        "slots_ptr",
        "table_stride",
        "table_width",
        "splits",
    ]
)
def decode_mma_kernel(
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
    splits,
    MAX_SPLITS: tl.constexpr,
    SPLIT_KEYS: tl.constexpr,
    GROUP: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    WINDOW: tl.constexpr,
    CAPPED: tl.constexpr,
    NORM: tl.constexpr,
    INLINE_PTX: tl.constexpr,
    WARPS: tl.constexpr,
    TILES: tl.constexpr,
    BLOCK_G: tl.constexpr,
    PER_LOAD: tl.constexpr,
    PDL: tl.constexpr,
):
    """A program of `(kv_head, sequence, split)`: every `active`-th step from the `split`-th on.

    In a step each of `WARPS` has `TILES` tiles of 16 keys. `qkv`, `kv` and norms as in
    `decode_kernel`, `qkv` and `kv` in words of two bf16; so is `qkv_stride`.
    """
    THREADS: tl.constexpr = 32 * WARPS
    WORDS: tl.constexpr = HEAD_DIM // 2
    TOKEN: tl.constexpr = 2 * KV_HEADS * WORDS
    STEP: tl.constexpr = TILES * WARPS * 16
    tl.static_assert(BLOCK_TOKENS % 16 == 0)
    kv_head = tl.program_id(0)
    sequence = tl.program_id(1)
    split = tl.program_id(2)
    warp, _, _ = lane_place(THREADS)
    table = table_ptr + sequence.to(tl.int64) * table_stride
    kv = kv_ptr + kv_head * WORDS
    seq_len = tl.load(lens_ptr + sequence)
    new_slot = tl.load(slots_ptr + sequence).to(tl.int64)
    cached = tl.maximum(seq_len - 1, 0)
    start = 0
    aligned = 0
    if WINDOW > 0:
        start = tl.maximum(seq_len - WINDOW, 0)
        aligned = start // 16 * 16
    # Without a window, this does not wait for the length.
    origin = aligned + split * STEP + warp * 16
    words = tile_words(
        kv, table, origin, table_width * BLOCK_TOKENS, TILES, BLOCK_TOKENS, TOKEN
    )  # fmt: skip
    active = tl.minimum(tl.cdiv(cached - aligned, SPLIT_KEYS), splits)
    # A padding row has no keys; its first program writes zeros.
    active = tl.maximum(active, 1)
    if split >= active:
        return

    keys = load_keys(words, origin, start, cached, HEAD_DIM, TOKEN, INLINE_PTX)
    values = load_values(words, origin, start, cached, HEAD_DIM, TOKEN, INLINE_PTX)
    # Cosines, sines and norm weights of each word's two elements.
    QUARTER: tl.constexpr = HEAD_DIM // 4
    HALF: tl.constexpr = HEAD_DIM // 2
    cos = load_pairs(cos_ptr + cached * HALF, QUARTER)
    sin = load_pairs(sin_ptr + cached * HALF, QUARTER)
    q_norm = ()
    k_norm = ()
    if NORM:
        q_norm = (load_pairs(q_norm_ptr, QUARTER), load_pairs(q_norm_ptr + HALF, QUARTER))  # type: ignore[assignment]  # it grows
        k_norm = (load_pairs(k_norm_ptr, QUARTER), load_pairs(k_norm_ptr + HALF, QUARTER))  # type: ignore[assignment]  # it grows
    wait_for_previous(PDL)

    row = qkv_ptr + sequence.to(tl.int64) * qkv_stride
    new = row + (KV_HEADS * GROUP + kv_head) * WORDS
    member = tl.arange(0, 8)[:, None]
    word = tl.arange(0, QUARTER)[None, :]
    heads = row + (kv_head * GROUP + member) * WORDS + word
    q_first = tl.load(heads, mask=member < GROUP, other=0)
    q_second = tl.load(heads + QUARTER, mask=member < GROUP, other=0)
    k_first = tl.load(new + word)
    k_second = tl.load(new + QUARTER + word)
    # A padding row may hold anything.
    takes_new = (split == 0) & (seq_len > 0)
    column = tl.arange(0, HEAD_DIM)[None, :]
    new_v = (new + KV_HEADS * WORDS).to(tl.pointer_type(tl.bfloat16), bitcast=True)
    new_v = tl.load(new_v + column, mask=takes_new, other=0.0)
    rotated_q = rotate_halves(q_first, q_second, cos, sin, q_norm, eps, NORM, INLINE_PTX)
    rotated_k = rotate_halves(k_first, k_second, cos, sin, k_norm, eps, NORM, INLINE_PTX)
    q = to_operand(rotated_q, WARPS)

    new_score = dot_heads(rotated_q, rotated_k) * score_scale
    if CAPPED:
        new_score = softcap(new_score, cap)
    new_score = tl.where(takes_new, new_score, float("-inf"))
    has_slot = takes_new & (new_slot >= 0)
    new = kv + new_slot * TOKEN
    tl.store(new + word, rotated_k[0], mask=has_slot)
    tl.store(new + QUARTER + word, rotated_k[1], mask=has_slot)
    v_ptrs = (new + KV_HEADS * WORDS).to(tl.pointer_type(tl.bfloat16), bitcast=True)
    tl.store(v_ptrs + column, new_v, mask=has_slot)

    scores = key_scores(keys, q, origin, start, cached, score_scale, cap, CAPPED, INLINE_PTX)
    maxima = score_maxima(scores)
    weights = key_weights(scores, maxima)
    zero = tl.zeros((THREADS,), tl.float32)
    sums = add_weights((zero, zero), weights)
    acc = ()
    for _ in tl.static_range(HEAD_DIM // 4):
        acc += (zero,)  # type: ignore[assignment]  # it grows
    acc = add_values(acc, values, weights, INLINE_PTX)
    steps = tl.cdiv(cached - aligned - split * STEP, active * STEP)
    for _ in tl.range(1, steps):
        origin += active * STEP
        words = tile_words(kv, table, origin, cached, TILES, BLOCK_TOKENS, TOKEN)
        keys = load_keys(words, origin, start, cached, HEAD_DIM, TOKEN, INLINE_PTX)
        values = load_values(words, origin, start, cached, HEAD_DIM, TOKEN, INLINE_PTX)
        scores = key_scores(keys, q, origin, start, cached, score_scale, cap, CAPPED, INLINE_PTX)
        tile_maxima = score_maxima(scores)
        new_maxima = (tl.maximum(maxima[0], tile_maxima[0]), tl.maximum(maxima[1], tile_maxima[1]))
        weights = key_weights(scores, new_maxima)
        sums = add_weights(rescale(sums, maxima, new_maxima), weights)
        acc = add_values(rescale(acc, maxima, new_maxima), values, weights, INLINE_PTX)
        maxima = new_maxima

    sums = (tl.sum(by_column(sums[0]), 1), tl.sum(by_column(sums[1]), 1))
    result, lse = merge_warps(acc, maxima, sums, new_score, new_v.to(tl.float32))
    elements = member * HEAD_DIM + column
    real = elements < GROUP * HEAD_DIM
    out_ptr += sequence.to(tl.int64) * out_stride + kv_head * GROUP * HEAD_DIM
    if active == 1:
        tl.store(out_ptr + elements, result.to(out_ptr.dtype.element_ty), mask=real)
        return
    pair = (sequence * KV_HEADS + kv_head).to(tl.int64)
    partial_ptr += pair * splits * GROUP * HEAD_DIM
    lse_ptr += pair * splits * GROUP
    tl.store(partial_ptr + split * GROUP * HEAD_DIM + elements, result, mask=real)
    lse_ptrs = lse_ptr + split * GROUP + member + column * 0
    tl.store(lse_ptrs, lse, mask=real & (column == 0))
    merge_if_last(
        arrived_ptr + pair, partial_ptr, lse_ptr, out_ptr, active, MAX_SPLITS, GROUP, HEAD_DIM,
        BLOCK_G, HEAD_DIM, PER_LOAD,
    )  # fmt: skip
