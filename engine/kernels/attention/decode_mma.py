"""The fused decode step of few sequences: keys and values straight from memory to tensor cores.

With few sequences a program's own latency counts. So each warp has tiles of keys of its own, for
all query heads of a KV head, and no warp waits for another before the keys are done (`key_tiles`).
The first keys and values are asked for before the kernel before has finished: what earlier steps
stored does not depend on it. The new token is not in the cache yet: the first share's program adds
it at last.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.dependent_launch import launch_options, wait_for_previous
from ..common.fragments import lane_place
from ..common.gpu_limits import interpreted
from .across_warps import merged
from .key_tiles import (
    by_column,
    key_scores,
    key_weights,
    largest_of,
    load_keys,
    load_values,
    shrunk,
    tile_words,
    with_values,
    with_weights,
)
from .rotary import RotaryOptions
from .shares import combine_if_last, shares_at_once
from .softmax import LOG2_E, capped
from .turned_heads import in_fragments, load_pairs, products, turned

_MOST_SPLITS = 16


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
    MOST_SPLITS: tl.constexpr,
    SHARE: tl.constexpr,
    GROUP: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    WINDOW: tl.constexpr,
    CAPPED: tl.constexpr,
    NORM: tl.constexpr,
    FAST: tl.constexpr,
    WARPS: tl.constexpr,
    TILES: tl.constexpr,
    BLOCK_G: tl.constexpr,
    AT_ONCE: tl.constexpr,
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
    own = aligned + split * STEP + warp * 16
    words = tile_words(
        kv, table, own, table_width * BLOCK_TOKENS, TILES, BLOCK_TOKENS, TOKEN
    )  # fmt: skip
    active = tl.minimum(tl.cdiv(cached - aligned, SHARE), splits)
    # A padding row has no keys; its first program writes zeros.
    active = tl.maximum(active, 1)
    if split >= active:
        return

    keys = load_keys(words, own, start, cached, HEAD_DIM, TOKEN, FAST)
    values = load_values(words, own, start, cached, HEAD_DIM, TOKEN, FAST)
    # The rest is a word's in both halves of a head.
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
    taken = (split == 0) & (seq_len > 0)
    column = tl.arange(0, HEAD_DIM)[None, :]
    new_v = (new + KV_HEADS * WORDS).to(tl.pointer_type(tl.bfloat16), bitcast=True)
    new_v = tl.load(new_v + column, mask=taken, other=0.0)
    turned_q = turned(q_first, q_second, cos, sin, q_norm, eps, NORM, FAST)
    turned_k = turned(k_first, k_second, cos, sin, k_norm, eps, NORM, FAST)
    q = in_fragments(turned_q, WARPS)

    new_score = products(turned_q, turned_k) * score_scale
    if CAPPED:
        new_score = capped(new_score, cap)
    new_score = tl.where(taken, new_score, float("-inf"))
    stored = taken & (new_slot >= 0)
    new = kv + new_slot * TOKEN
    tl.store(new + word, turned_k[0], mask=stored)
    tl.store(new + QUARTER + word, turned_k[1], mask=stored)
    stored_v = (new + KV_HEADS * WORDS).to(tl.pointer_type(tl.bfloat16), bitcast=True)
    tl.store(stored_v + column, new_v, mask=stored)

    scores = key_scores(keys, q, own, start, cached, score_scale, cap, CAPPED, FAST)
    tops = largest_of(scores)
    weights = key_weights(scores, tops)
    zero = tl.zeros((THREADS,), tl.float32)
    totals = with_weights((zero, zero), weights)
    acc = ()
    for _ in tl.static_range(HEAD_DIM // 4):
        acc += (zero,)  # type: ignore[assignment]  # it grows
    acc = with_values(acc, values, weights, FAST)
    steps = tl.cdiv(cached - aligned - split * STEP, active * STEP)
    for _ in tl.range(1, steps):
        own += active * STEP
        words = tile_words(kv, table, own, cached, TILES, BLOCK_TOKENS, TOKEN)
        keys = load_keys(words, own, start, cached, HEAD_DIM, TOKEN, FAST)
        values = load_values(words, own, start, cached, HEAD_DIM, TOKEN, FAST)
        scores = key_scores(keys, q, own, start, cached, score_scale, cap, CAPPED, FAST)
        some = largest_of(scores)
        new_tops = (tl.maximum(tops[0], some[0]), tl.maximum(tops[1], some[1]))
        weights = key_weights(scores, new_tops)
        totals = with_weights(shrunk(totals, tops, new_tops), weights)
        acc = with_values(shrunk(acc, tops, new_tops), values, weights, FAST)
        tops = new_tops

    totals = (tl.sum(by_column(totals[0]), 1), tl.sum(by_column(totals[1]), 1))
    result, lse = merged(acc, tops, totals, new_score, new_v.to(tl.float32))
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
    combine_if_last(
        arrived_ptr + pair, partial_ptr, lse_ptr, out_ptr, active, MOST_SPLITS, GROUP, HEAD_DIM,
        BLOCK_G, HEAD_DIM, AT_ONCE,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class MmaTile:
    """How a program of `decode_mma` works: warps, tiles of 16 keys that each has on its way, and
    the fewest keys of a share, which is no less than all warps' tiles.
    """

    warps: int
    tiles: int
    share: int

    def __post_init__(self) -> None:
        if self.share < self.warps * self.tiles * 16:
            raise ValueError(f"a share of {self.share} keys is less than the warps' tiles")


class Scratch(Protocol):
    """Shares and the memory in which they are combined: those of a `DecodePlan`."""

    @property
    def splits(self) -> int: ...
    @property
    def partials(self) -> Tensor: ...
    @property
    def lse(self) -> Tensor: ...
    @property
    def arrived(self) -> Tensor: ...


def has_kernel(dtype: torch.dtype, group: int, head_dim: int, turned: int) -> bool:
    """Whether `decode_mma` is for models and caches of `dtype` and such heads.

    `group` query heads share a KV head, and `turned` elements of each are turned. A block of the
    cache must hold a multiple of 16 tokens.
    """
    return (
        dtype is torch.bfloat16 and group <= 8 and head_dim in (64, 128, 256) and turned == head_dim
    )


def decode_mma(
    qkv: Tensor,
    kv_blocks: Tensor,
    block_table: Tensor,
    seq_lens: Tensor,
    slots: Tensor,
    cos: Tensor,
    sin: Tensor,
    scratch: Scratch,
    tile: MmaTile,
    scale: float,
    *,
    options: RotaryOptions,
    window: int,
    softcap: float,
    out: Tensor,
    pdl: bool,
) -> Tensor:
    """What `decode_attention_fused` does, where `has_kernel` says that it may."""
    kv_heads, head_dim = kv_blocks.shape[3], kv_blocks.shape[4]
    group = qkv.shape[1] // head_dim // kv_heads - 2
    block_g = triton.next_power_of_2(group)
    # One kernel for all plans, but those for very long contexts.
    most_splits = max(_MOST_SPLITS, scratch.splits)
    decode_mma_kernel[(kv_heads, qkv.shape[0], scratch.splits)](
        qkv.view(torch.int32),
        kv_blocks.view(torch.int32),
        block_table,
        seq_lens,
        out,
        scratch.partials,
        scratch.lse,
        scratch.arrived,
        slots,
        cos,
        sin,
        cos if options.q_norm is None else options.q_norm,
        cos if options.k_norm is None else options.k_norm,
        qkv.stride(0) // 2,
        block_table.stride(0),
        out.stride(0),
        block_table.shape[1],
        options.eps,
        scale * LOG2_E,
        softcap * LOG2_E,
        scratch.splits,
        MOST_SPLITS=most_splits,
        SHARE=tile.share,
        GROUP=group,
        KV_HEADS=kv_heads,
        HEAD_DIM=head_dim,
        BLOCK_TOKENS=kv_blocks.shape[1],
        WINDOW=window,
        CAPPED=softcap > 0,
        NORM=options.q_norm is not None,
        FAST=not interpreted(qkv.device),
        WARPS=tile.warps,
        TILES=tile.tiles,
        BLOCK_G=block_g,
        AT_ONCE=shares_at_once(most_splits, block_g * head_dim, tile.warps),
        PDL=pdl,
        num_warps=tile.warps,
        **launch_options(pdl),
    )
    return out
