"""Attention of one query a sequence over the paged KV cache, its keys split over programs.

FlashDecoding (Dao et al. 2023): each program takes a share of a sequence's keys for one KV head and
all query heads that share it; the program of a (sequence, KV head) that finishes last combines the
shares, so that there is no second launch. The grid depends on the number of rows alone, so that a
CUDA graph can hold it; a program finds its share from the sequence's length on the device.
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from .dependent_launch import launch_options, wait_for_previous
from .paging import token_slots
from .softmax import LOG2_E, capped


@dataclass(frozen=True, slots=True)
class DecodeTile:
    """How a program works: keys a tile, warps, tiles in flight, and the fewest keys of a share."""

    keys: int
    warps: int
    stages: int
    share: int


@dataclass(frozen=True, slots=True)
class DecodePlan:
    """Grid and scratch memory of `decode_attention` for up to `sequences` rows.

    `partials` fp32 `[sequences, kv_heads, splits, group, head_dim]` are the shares' results,
    `lse` fp32 `[sequences, kv_heads, splits, group]` the base-2 logarithms of their sums, and
    `arrived` int32 `[sequences, kv_heads]` counts finished programs; each launch leaves it at 0.
    Launches one after the other may share a plan.
    """

    splits: int
    tile: DecodeTile
    partials: Tensor
    lse: Tensor
    arrived: Tensor


def plan_decode(
    sequences: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    context_tokens: int,
    device: torch.device,
    *,
    splits: int | None = None,
    tile: DecodeTile | None = None,
) -> DecodePlan:
    """The plan for `sequences` rows of up to `context_tokens` keys.

    `tile` and `splits`, a power of two, override what is chosen from the shape.
    """
    if tile is None:
        tile = decode_tile(sequences * kv_heads)
    if splits is None:
        splits = decode_splits(sequences * kv_heads, context_tokens, tile.share)
    shape = (sequences, kv_heads, splits, heads // kv_heads)
    return DecodePlan(
        splits=splits,
        tile=tile,
        partials=torch.empty((*shape, head_dim), dtype=torch.float32, device=device),
        lse=torch.empty(shape, dtype=torch.float32, device=device),
        arrived=torch.zeros((sequences, kv_heads), dtype=torch.int32, device=device),
    )


def decode_tile(pairs: int) -> DecodeTile:
    """The tile for a number of (sequence, KV head) pairs: short shares while programs are few."""
    if pairs <= 64:
        return DecodeTile(keys=32, warps=4, stages=3, share=32)
    return DecodeTile(keys=64, warps=4, stages=3, share=256)


def decode_splits(pairs: int, context_tokens: int, share: int) -> int:
    """Shares a sequence is cut into: two programs for each multiprocessor of a large GPU."""
    programs = 264
    wanted = triton.next_power_of_2(max(1, programs // pairs))
    return int(max(1, min(wanted, 128, triton.next_power_of_2(triton.cdiv(context_tokens, share)))))


@triton.jit
def _decode_kernel(
    q_ptr,
    kv_ptr,
    table_ptr,
    lens_ptr,
    out_ptr,
    partial_ptr,
    lse_ptr,
    arrived_ptr,
    q_stride,
    table_stride,
    out_stride,
    score_scale,
    cap,
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
    BLOCK_H: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):
    kv_head = tl.program_id(0)
    sequence = tl.program_id(1)
    split = tl.program_id(2)
    seq_len = tl.load(lens_ptr + sequence)
    wait_for_previous(PDL)
    start = 0
    if WINDOW > 0:
        start = tl.maximum(seq_len - WINDOW, 0)
    share = tl.cdiv(tl.cdiv(seq_len - start, SPLITS), BLOCK_N) * BLOCK_N
    share = tl.maximum(share, SHARE)
    active = tl.cdiv(seq_len - start, share)
    # A padding row has no keys; its first program writes zeros.
    if split >= tl.maximum(active, 1):
        return
    start += split * share
    end = tl.minimum(start + share, seq_len)

    offs_h = tl.arange(0, BLOCK_H)
    offs_d = tl.arange(0, BLOCK_D)
    in_head = offs_d < HEAD_DIM
    real = (offs_h < GROUP)[:, None] & in_head[None, :]
    head = kv_head * GROUP + offs_h
    q_ptrs = q_ptr + sequence.to(tl.int64) * q_stride + head[:, None] * HEAD_DIM + offs_d[None, :]
    q = tl.load(q_ptrs, mask=real, other=0.0)
    if FP8:
        q = tl.clamp(q.to(tl.float32), -65504.0, 65504.0).to(tl.float16)
    table = table_ptr + sequence.to(tl.int64) * table_stride
    kv_ptrs = kv_ptr + kv_head * HEAD_DIM + offs_d[None, :]

    top = tl.full((BLOCK_H,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_H,), tl.float32)
    acc = tl.zeros((BLOCK_H, BLOCK_D), tl.float32)
    for first in tl.range(start, end, BLOCK_N, num_stages=STAGES):
        token = first + tl.arange(0, BLOCK_N)
        seen = token < end
        slot = token_slots(table, token, seen, BLOCK_TOKENS)
        k_ptrs = kv_ptrs + slot[:, None] * (2 * KV_HEADS * HEAD_DIM)
        # What a block holds past the sequence's end is a stranger's, and may be NaN: never loaded.
        keep = seen[:, None] & in_head[None, :]
        k = tl.load(k_ptrs, mask=keep, other=0.0)
        v = tl.load(k_ptrs + KV_HEADS * HEAD_DIM, mask=keep, other=0.0)
        if FP8:
            k, v = k.to(tl.float16), v.to(tl.float16)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * score_scale
        if CAPPED:
            scores = capped(scores, cap)
        scores = tl.where(seen[None, :], scores, float("-inf"))
        new_top = tl.maximum(top, tl.max(scores, axis=1))
        shrink = tl.exp2(top - new_top)
        p = tl.exp2(scores - new_top[:, None])
        total = total * shrink + tl.sum(p, axis=1)
        acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None], input_precision="ieee")
        top = new_top
    acc = acc * (v_scale / tl.where(total > 0.0, total, 1.0))[:, None]

    out_ptr += sequence.to(tl.int64) * out_stride + kv_head * GROUP * HEAD_DIM
    out_offsets = offs_h[:, None] * HEAD_DIM + offs_d[None, :]
    if active <= 1:
        tl.store(out_ptr + out_offsets, acc.to(out_ptr.dtype.element_ty), mask=real)
        return
    if SPLITS > 1:
        pair = (sequence * KV_HEADS + kv_head).to(tl.int64)
        partial_ptr += pair * SPLITS * GROUP * HEAD_DIM
        lse_ptr += pair * SPLITS * GROUP
        tl.store(partial_ptr + split * GROUP * HEAD_DIM + out_offsets, acc, mask=real)
        lse_ptrs = lse_ptr + split * GROUP + offs_h
        tl.store(lse_ptrs, top + tl.log2(total), mask=offs_h < GROUP)
        # All threads' stores come before the count goes up.
        tl.debug_barrier()
        before = tl.atomic_add(arrived_ptr + pair, 1, sem="acq_rel")
        if before == active - 1:
            tl.store(arrived_ptr + pair, 0)
            shares = tl.arange(0, SPLITS)
            filled = shares < active
            for h in tl.static_range(GROUP):
                weights = tl.load(
                    lse_ptr + shares * GROUP + h,
                    mask=filled,
                    other=float("-inf"),
                    cache_modifier=".cg",
                )
                weights = tl.exp2(weights - tl.max(weights, axis=0))
                weights = weights / tl.sum(weights, axis=0)
                rows = partial_ptr + (shares[:, None] * GROUP + h) * HEAD_DIM + offs_d[None, :]
                parts = tl.load(
                    rows, mask=filled[:, None] & in_head[None, :], other=0.0, cache_modifier=".cg"
                )
                merged = tl.sum(parts * weights[:, None], axis=0).to(out_ptr.dtype.element_ty)
                tl.store(out_ptr + h * HEAD_DIM + offs_d, merged, mask=in_head)


def decode_attention(
    q: Tensor,
    kv_blocks: Tensor,
    block_table: Tensor,
    seq_lens: Tensor,
    plan: DecodePlan,
    scale: float,
    *,
    window: int = 0,
    softcap: float = 0.0,
    k_scale: float = 1.0,
    v_scale: float = 1.0,
    out: Tensor | None = None,
    pdl: bool = False,
) -> Tensor:
    """Attention of each sequence's last token over its keys and values.

    `q` is `[sequences, heads, head_dim]`, whose rows may be strided; `kv_blocks` `[blocks,
    block_tokens, 2, kv_heads, head_dim]`, contiguous, in the dtype of `q` or e4m3, whose values are
    then times `k_scale` and `v_scale`; `block_table` int32 `[sequences, width]`; `seq_lens` int32
    `[sequences]`, where 0 marks a padding row, which gets zeros. Scores are times `scale`.
    `window` limits a query to that many last keys, itself included (0: all); `softcap` bounds
    scores as Gemma 2 does (0: not). Returns `[sequences, heads · head_dim]` in `out`.
    """
    sequences, heads, head_dim = q.shape
    kv_heads = kv_blocks.shape[3]
    if out is None:
        out = torch.empty((sequences, heads * head_dim), dtype=q.dtype, device=q.device)
    group = heads // kv_heads
    tile = plan.tile
    _decode_kernel[(kv_heads, sequences, plan.splits)](
        q,
        kv_blocks,
        block_table,
        seq_lens,
        out,
        plan.partials,
        plan.lse,
        plan.arrived,
        q.stride(0),
        block_table.stride(0),
        out.stride(0),
        scale * k_scale * LOG2_E,
        softcap * LOG2_E,
        v_scale,
        SPLITS=plan.splits,
        SHARE=tile.share,
        GROUP=group,
        KV_HEADS=kv_heads,
        HEAD_DIM=head_dim,
        BLOCK_TOKENS=kv_blocks.shape[1],
        WINDOW=window,
        CAPPED=softcap > 0,
        FP8=kv_blocks.dtype is torch.float8_e4m3fn,
        BLOCK_H=max(16, triton.next_power_of_2(group)),
        BLOCK_D=triton.next_power_of_2(head_dim),
        BLOCK_N=tile.keys,
        STAGES=tile.stages,
        PDL=pdl,
        num_warps=tile.warps,
        **launch_options(pdl),
    )
    return out
