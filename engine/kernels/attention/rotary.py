"""Rotary positions, per-head norms and the write into the paged KV cache, in one pass over qkv.

A program takes one KV head of one row: the query heads that share it, its key and its value. Heads
are rotated in halves, as Hugging Face checkpoints want it (Su et al. 2021). For prefill rows; the
kernels of `decode_attention` do the same themselves.
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from .paged_kv import to_cache_dtype


@dataclass(frozen=True, slots=True)
class HeadNorms:
    """RMSNorm over each head before the rotation (Qwen3, Gemma 3): weights `[head_dim]`."""

    query: Tensor
    key: Tensor
    eps: float = 1e-6


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
    GROUP: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    NORM: tl.constexpr,
    BLOCK_HEADS: tl.constexpr,
    BLOCK_DIM: tl.constexpr,
    BLOCK_HALF: tl.constexpr,
):
    HALF: tl.constexpr = HEAD_DIM // 2
    kv_head = tl.program_id(0)
    row = tl.program_id(1).to(tl.int64)
    slot = tl.load(slots_ptr + row).to(tl.int64)
    position = tl.load(positions_ptr + row)
    pair = tl.arange(0, BLOCK_HALF)
    in_half = pair < HALF
    cos = tl.load(cos_ptr + position * HALF + pair, mask=in_half, other=1.0)[None, :]
    sin = tl.load(sin_ptr + position * HALF + pair, mask=in_half, other=0.0)[None, :]
    if slot < 0:
        return

    # The queries that share this KV head, then its key.
    member = tl.arange(0, BLOCK_HEADS)
    is_query = (member < GROUP)[:, None]
    is_key = (member == GROUP)[:, None]
    head = tl.where(member < GROUP, kv_head * GROUP + member, KV_HEADS * GROUP + kv_head)
    heads = qkv_ptr + row * qkv_stride + head[:, None] * HEAD_DIM
    keep = (is_query | is_key) & in_half[None, :]
    first = tl.load(heads + pair[None, :], mask=keep, other=0.0).to(tl.float32)
    second = tl.load(heads + HALF + pair[None, :], mask=keep, other=0.0).to(tl.float32)
    if NORM:
        square = tl.sum(first * first, axis=1) + tl.sum(second * second, axis=1)
        inverse = tl.rsqrt(square / HEAD_DIM + eps)[:, None]
        first *= inverse * _weights(q_norm_ptr, k_norm_ptr, pair, in_half, is_query)
        second *= inverse * _weights(q_norm_ptr, k_norm_ptr, HALF + pair, in_half, is_query)
    rotated_first = first * cos - second * sin
    rotated_second = second * cos + first * sin

    q_out = q_out_ptr + row * q_out_stride + head[:, None] * HEAD_DIM
    q_dtype: tl.constexpr = q_out_ptr.dtype.element_ty
    q_half = is_query & in_half[None, :]
    tl.store(q_out + pair[None, :], rotated_first.to(q_dtype), mask=q_half)
    tl.store(q_out + HALF + pair[None, :], rotated_second.to(q_dtype), mask=q_half)
    kv_dtype: tl.constexpr = kv_ptr.dtype.element_ty
    key = kv_ptr + (slot * 2 * KV_HEADS + kv_head) * HEAD_DIM + tl.zeros_like(head)[:, None]
    k_half = is_key & in_half[None, :]
    tl.store(key + pair[None, :], to_cache_dtype(rotated_first, kv_dtype), mask=k_half)
    tl.store(key + HALF + pair[None, :], to_cache_dtype(rotated_second, kv_dtype), mask=k_half)

    column = tl.arange(0, BLOCK_DIM)
    in_head = column < HEAD_DIM
    value_head = (KV_HEADS * (GROUP + 1) + kv_head) * HEAD_DIM
    value = tl.load(qkv_ptr + row * qkv_stride + value_head + column, mask=in_head, other=0.0)
    value_ptrs = kv_ptr + (slot * 2 * KV_HEADS + KV_HEADS + kv_head) * HEAD_DIM + column
    tl.store(value_ptrs, to_cache_dtype(value.to(tl.float32), kv_dtype), mask=in_head)


def rotate_and_store(
    qkv: Tensor,
    kv_blocks: Tensor,
    positions: Tensor,
    slots: Tensor,
    cos: Tensor,
    sin: Tensor,
    *,
    norms: HeadNorms | None = None,
) -> Tensor:
    """Rotate queries and keys of a step's rows, and write keys and values into the cache.

    `qkv` is `[rows, (heads + 2 kv_heads) · head_dim]`; `kv_blocks` `[blocks, block_tokens, 2,
    kv_heads, head_dim]`, contiguous, in the dtype of `qkv` or e4m3; `positions` and `slots`
    `[rows]`, where a slot counts tokens of the cache and -1 marks a padding row, for which nothing
    is written; `cos` and `sin` fp32 `[context, head_dim / 2]`, contiguous, 1 and 0 for pairs that
    are not rotated. fp16 and fp8 caches get no NaN and no infinity. Returns the queries `[rows,
    heads, head_dim]`.
    """
    rows = qkv.shape[0]
    kv_heads, head_dim = kv_blocks.shape[3], kv_blocks.shape[4]
    heads = qkv.shape[1] // head_dim - 2 * kv_heads
    out = torch.empty((rows, heads, head_dim), dtype=qkv.dtype, device=qkv.device)
    _rotate_kernel[(kv_heads, rows)](
        qkv,
        out,
        kv_blocks,
        positions,
        slots,
        cos,
        sin,
        cos if norms is None else norms.query,
        cos if norms is None else norms.key,
        qkv.stride(0),
        out.stride(0),
        0.0 if norms is None else norms.eps,
        GROUP=heads // kv_heads,
        KV_HEADS=kv_heads,
        HEAD_DIM=head_dim,
        NORM=norms is not None,
        BLOCK_HEADS=triton.next_power_of_2(heads // kv_heads + 1),
        BLOCK_DIM=triton.next_power_of_2(head_dim),
        BLOCK_HALF=triton.next_power_of_2(head_dim // 2),
        num_warps=2,
    )
    return out
