"""Rotary positions, per-head norms and the write into the paged KV cache, in one pass over qkv.

A program takes one KV head of one row: the query heads that share it, its key and its value. Heads
are turned in halves, as Hugging Face checkpoints want it (Su et al. 2021).
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.dependent_launch import launch_options, wait_for_previous
from .paging import as_stored


@dataclass(frozen=True, slots=True)
class RotaryOptions:
    """What of the kernel a model needs beside the rotation.

    `q_norm` and `k_norm` `[head_dim]` are the weights of an RMSNorm over each head before the
    rotation (Qwen3, Gemma 3). `k_scale` and `v_scale` divide what an fp8 cache stores.
    """

    q_norm: Tensor | None = None
    k_norm: Tensor | None = None
    eps: float = 1e-6
    k_scale: float = 1.0
    v_scale: float = 1.0


PLAIN = RotaryOptions()


@triton.jit
def _store_kv(ptrs, x, scale, inside, CLEAN: tl.constexpr, FP8: tl.constexpr):
    """Store a key or value."""
    x = as_stored(x, scale, CLEAN, FP8)
    tl.store(ptrs, x.to(ptrs.dtype.element_ty), mask=inside)


@triton.jit
def _weights(q_norm_ptr, k_norm_ptr, columns, inside, is_query):
    """The norm weights of each head's `columns`: the query's or the key's."""
    of_query = tl.load(q_norm_ptr + columns, mask=inside, other=0.0).to(tl.float32)
    of_key = tl.load(k_norm_ptr + columns, mask=inside, other=0.0).to(tl.float32)
    return tl.where(is_query, of_query[None, :], of_key[None, :])


@triton.jit(do_not_specialize=["positions_ptr", "slots_ptr"])
def _rotate_kernel(
    qkv_ptr,
    q_out_ptr,
    kv_ptr,
    positions_ptr,
    slots_ptr,
    cos_ptr,
    sin_ptr,
    q_norm_ptr,
    k_norm_ptr,
    qkv_stride,
    q_out_stride,
    eps,
    k_scale,
    v_scale,
    GROUP: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    HALF: tl.constexpr,
    NORM: tl.constexpr,
    CLEAN: tl.constexpr,
    FP8: tl.constexpr,
    BLOCK_HEADS: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    BLOCK_HALF: tl.constexpr,
    BLOCK_REST: tl.constexpr,
    PDL: tl.constexpr,
):
    kv_head = tl.program_id(0)
    row = tl.program_id(1).to(tl.int64)
    slot = tl.load(slots_ptr + row).to(tl.int64)
    position = tl.load(positions_ptr + row)
    pair = tl.arange(0, BLOCK_HALF)
    in_half = pair < HALF
    cos = tl.load(cos_ptr + position * HALF + pair, mask=in_half, other=1.0)[None, :]
    sin = tl.load(sin_ptr + position * HALF + pair, mask=in_half, other=0.0)[None, :]
    wait_for_previous(PDL)
    if slot < 0:
        return

    # The queries that share this KV head, then its key.
    member = tl.arange(0, BLOCK_HEADS)
    is_query = (member < GROUP)[:, None]
    is_key = (member == GROUP)[:, None]
    head = tl.where(member < GROUP, kv_head * GROUP + member, KV_HEADS * GROUP + kv_head)
    heads = qkv_ptr + row * qkv_stride + head[:, None] * HEAD_DIM
    real = is_query | is_key
    first = tl.load(heads + pair[None, :], mask=real & in_half[None, :], other=0.0).to(tl.float32)
    second = tl.load(heads + HALF + pair[None, :], mask=real & in_half[None, :], other=0.0)
    second = second.to(tl.float32)
    if BLOCK_REST > 0:  # Partial rotary: the tail of a head passes as it is.
        tail = 2 * HALF + tl.arange(0, BLOCK_REST)
        in_tail = tail < HEAD_DIM
        rest = tl.load(heads + tail[None, :], mask=real & in_tail[None, :], other=0.0)
        rest = rest.to(tl.float32)
    if NORM:
        square = tl.sum(first * first, axis=1) + tl.sum(second * second, axis=1)
        if BLOCK_REST > 0:
            square += tl.sum(rest * rest, axis=1)
        inverse = tl.rsqrt(square / HEAD_DIM + eps)[:, None]
        first *= inverse * _weights(q_norm_ptr, k_norm_ptr, pair, in_half, is_query)
        second *= inverse * _weights(q_norm_ptr, k_norm_ptr, HALF + pair, in_half, is_query)
        if BLOCK_REST > 0:
            rest *= inverse * _weights(q_norm_ptr, k_norm_ptr, tail, in_tail, is_query)
    turned_first = first * cos - second * sin
    turned_second = second * cos + first * sin

    q_out = q_out_ptr + row * q_out_stride + head[:, None] * HEAD_DIM
    q_dtype: tl.constexpr = q_out_ptr.dtype.element_ty
    q_half = is_query & in_half[None, :]
    tl.store(q_out + pair[None, :], turned_first.to(q_dtype), mask=q_half)
    tl.store(q_out + HALF + pair[None, :], turned_second.to(q_dtype), mask=q_half)
    key = kv_ptr + (slot * 2 * KV_HEADS + kv_head) * HEAD_DIM + tl.zeros_like(head)[:, None]
    k_half = is_key & in_half[None, :]
    _store_kv(key + pair[None, :], turned_first, k_scale, k_half, CLEAN, FP8)
    _store_kv(key + HALF + pair[None, :], turned_second, k_scale, k_half, CLEAN, FP8)
    if BLOCK_REST > 0:
        tl.store(q_out + tail[None, :], rest.to(q_dtype), mask=is_query & in_tail[None, :])
        _store_kv(key + tail[None, :], rest, k_scale, is_key & in_tail[None, :], CLEAN, FP8)

    column = tl.arange(0, BLOCK_DIM)
    in_head = column < HEAD_DIM
    value_head = (KV_HEADS * (GROUP + 1) + kv_head) * HEAD_DIM
    value = tl.load(qkv_ptr + row * qkv_stride + value_head + column, mask=in_head, other=0.0)
    value_ptrs = kv_ptr + (slot * 2 * KV_HEADS + KV_HEADS + kv_head) * HEAD_DIM + column
    _store_kv(value_ptrs, value.to(tl.float32), v_scale, in_head, CLEAN, FP8)


def rotate_and_store(
    qkv: Tensor,
    kv_blocks: Tensor,
    positions: Tensor,
    slots: Tensor,
    cos: Tensor,
    sin: Tensor,
    *,
    options: RotaryOptions = PLAIN,
    out: Tensor | None = None,
    pdl: bool = False,
) -> Tensor:
    """Turn queries and keys of a step's rows, and write keys and values into the cache.

    `qkv` is `[rows, (heads + 2 kv_heads) · head_dim]`; `kv_blocks` `[blocks, block_tokens, 2,
    kv_heads, head_dim]`, contiguous, in the dtype of `qkv` or e4m3; `positions` and `slots`
    `[rows]`, where a slot counts tokens of the cache and -1 marks a padding row, for which nothing
    is written; `cos` and `sin` fp32 `[context, rotary_dim / 2]`, contiguous. Where `rotary_dim` is
    less than `head_dim`, the rest of a head passes as it is. fp16 and fp8 caches get no NaN and no
    infinity. Returns the queries `[rows, heads, head_dim]` in `out`, which may be a view of `qkv`.
    """
    rows = qkv.shape[0]
    kv_heads, head_dim = kv_blocks.shape[3], kv_blocks.shape[4]
    heads = qkv.shape[1] // head_dim - 2 * kv_heads
    half = cos.shape[1]
    if out is None:
        out = torch.empty((rows, heads, head_dim), dtype=qkv.dtype, device=qkv.device)
    q_norm = cos if options.q_norm is None else options.q_norm
    k_norm = cos if options.k_norm is None else options.k_norm
    rest = head_dim - 2 * half
    _rotate_kernel[(kv_heads, rows)](
        qkv,
        out,
        kv_blocks,
        positions,
        slots,
        cos,
        sin,
        q_norm,
        k_norm,
        qkv.stride(0),
        out.stride(0),
        options.eps,
        options.k_scale,
        options.v_scale,
        GROUP=heads // kv_heads,
        KV_HEADS=kv_heads,
        HEAD_DIM=head_dim,
        HALF=half,
        NORM=options.q_norm is not None,
        CLEAN=kv_blocks.dtype is torch.float16,
        FP8=kv_blocks.dtype is torch.float8_e4m3fn,
        BLOCK_HEADS=triton.next_power_of_2(heads // kv_heads + 1),
        BLOCK_DIM=triton.next_power_of_2(head_dim),
        BLOCK_HALF=triton.next_power_of_2(half),
        BLOCK_REST=triton.next_power_of_2(rest) if rest else 0,
        PDL=pdl,
        num_warps=2,
        **launch_options(pdl),
    )
    return out
