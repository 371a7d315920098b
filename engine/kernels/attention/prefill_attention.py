"""Attention of prompt chunks over the paged KV cache (FlashAttention-2; Dao 2023).

The query heads that share a KV head are packed into a tile's rows, so that keys and values are
read once for all of them. The host lists the tiles, longest first, so that no program is empty and
the last ones to run are short.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from ..common.dependent_launch import launch_options, wait_for_previous
from ..common.gpu_limits import GpuLimits
from .paging import token_slots
from .softmax import LOG2_E, capped

_WIDE_HEADS_BYTES = 144 << 10
"""Shared memory of the tile for heads of 256 elements: queries, keys, values and weights."""


@dataclass(frozen=True, slots=True)
class PrefillTile:
    """How a program works: rows (queries times heads), keys a tile, warps, tiles in flight."""

    rows: int
    keys: int
    warps: int
    stages: int

    def queries(self, group: int) -> int:
        """Queries a tile holds where `group` query heads share a KV head."""
        return self.rows // group


def prefill_tile(head_dim: int, group: int, element_bytes: int, chip: GpuLimits) -> PrefillTile:
    """The tile for a head size, a number of heads per KV head, the cache's dtype and a chip."""
    widest = triton.next_power_of_2(group)
    if element_bytes > 2:
        return PrefillTile(rows=max(32, widest), keys=32, warps=4, stages=1)
    if head_dim > 128:
        if chip.shared_bytes < _WIDE_HEADS_BYTES:
            return PrefillTile(rows=max(64, widest), keys=32, warps=4, stages=2)
        return PrefillTile(rows=max(128, widest), keys=64, warps=8, stages=2)
    if element_bytes == 1:
        return PrefillTile(rows=max(128, widest), keys=128, warps=8, stages=2)
    return PrefillTile(rows=max(64, widest), keys=64, warps=4, stages=2)


def list_tiles(
    query_lens: Sequence[int], seq_lens: Sequence[int], queries: int
) -> NDArray[np.int32]:
    """A step's tiles, `[tiles, 2]`: a sequence, and the first of the tile's `queries` in its chunk.

    `seq_lens` count a sequence's keys, its chunk's included. Tiles with most keys come first.
    """
    tiles = [
        (seq_len - query_len + first, sequence, first)
        for sequence, (query_len, seq_len) in enumerate(zip(query_lens, seq_lens, strict=True))
        for first in range(0, query_len, queries)
    ]
    tiles.sort(reverse=True)
    return np.array([tile[1:] for tile in tiles], dtype=np.int32).reshape(-1, 2)


@triton.jit
def _attend(
    acc,
    top,
    total,
    q,
    position,
    kv_ptrs,
    table,
    start,
    end,
    score_scale,
    cap,
    MASKED: tl.constexpr,
    WINDOW: tl.constexpr,
    CAPPED: tl.constexpr,
    FP8: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
):
    """The online softmax over keys `start … end`, masked where not every query sees every key."""
    in_head = tl.arange(0, BLOCK_D) < HEAD_DIM
    for first in tl.range(start, end, BLOCK_N, num_stages=STAGES):
        token = first + tl.arange(0, BLOCK_N)
        inside = token < end
        slot = token_slots(table, token, inside, BLOCK_TOKENS)
        k_ptrs = kv_ptrs + slot[:, None] * (2 * KV_HEADS * HEAD_DIM)
        if MASKED or HEAD_DIM != BLOCK_D:
            # What a block holds past the chunk's end is a stranger's, and may be NaN: never loaded.
            keep = inside[:, None] & in_head[None, :]
            k = tl.load(k_ptrs, mask=keep, other=0.0)
            v = tl.load(k_ptrs + KV_HEADS * HEAD_DIM, mask=keep, other=0.0)
        else:
            k = tl.load(k_ptrs)
            v = tl.load(k_ptrs + KV_HEADS * HEAD_DIM)
        if FP8:
            k, v = k.to(tl.float16), v.to(tl.float16)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * score_scale
        if CAPPED:
            scores = capped(scores, cap)
        if MASKED:
            seen = inside[None, :] & (token[None, :] <= position[:, None])
            if WINDOW > 0:
                seen = seen & (token[None, :] > position[:, None] - WINDOW)
            scores = tl.where(seen, scores, float("-inf"))
        new_top = tl.maximum(top, tl.max(scores, axis=1))
        # A row may see no key of a window's first tiles: -inf less -inf would be NaN.
        anchor = tl.where(new_top == float("-inf"), 0.0, new_top) if WINDOW > 0 else new_top
        shrink = tl.exp2(top - anchor)
        p = tl.exp2(scores - anchor[:, None])
        total = total * shrink + tl.sum(p, axis=1)
        acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None], input_precision="ieee")
        top = new_top
    return acc, top, total


@triton.jit(do_not_specialize=["table_ptr", "lens_ptr", "starts_ptr", "tiles_ptr", "table_stride"])
def _prefill_kernel(
    q_ptr,
    kv_ptr,
    table_ptr,
    lens_ptr,
    starts_ptr,
    tiles_ptr,
    out_ptr,
    q_stride,
    table_stride,
    out_stride,
    score_scale,
    cap,
    v_scale,
    GROUP: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    WINDOW: tl.constexpr,
    CAPPED: tl.constexpr,
    FP8: tl.constexpr,
    QUERIES: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
    PDL: tl.constexpr,
):
    kv_head = tl.program_id(0)
    sequence = tl.load(tiles_ptr + 2 * tl.program_id(1))
    first = tl.load(tiles_ptr + 2 * tl.program_id(1) + 1)
    wait_for_previous(PDL)
    if sequence < 0:
        return
    first_row = tl.load(starts_ptr + sequence)
    queries = tl.load(starts_ptr + sequence + 1) - first_row
    seq_len = tl.load(lens_ptr + sequence)

    offs_m = tl.arange(0, BLOCK_M)
    offs_d = tl.arange(0, BLOCK_D)
    query = first + offs_m // GROUP
    head = kv_head * GROUP + offs_m % GROUP
    real = (offs_m < QUERIES * GROUP) & (query < queries)
    keep = real[:, None] & (offs_d < HEAD_DIM)[None, :]
    row = (first_row + query).to(tl.int64)
    column = head[:, None] * HEAD_DIM + offs_d[None, :]
    q = tl.load(q_ptr + row[:, None] * q_stride + column, mask=keep, other=0.0)
    if FP8:
        q = tl.clamp(q.to(tl.float32), -65504.0, 65504.0).to(tl.float16)

    position = seq_len - queries + query
    oldest = seq_len - queries + first
    end = tl.minimum(oldest + QUERIES, seq_len)
    start = 0
    if WINDOW > 0:
        start = tl.maximum(oldest - WINDOW + 1, 0) // BLOCK_N * BLOCK_N
    # Keys up to the oldest query's own are seen by all rows: whole tiles of them need no mask.
    whole = (oldest + 1) // BLOCK_N * BLOCK_N
    kv_ptrs = kv_ptr + kv_head * HEAD_DIM + offs_d[None, :]
    table = table_ptr + sequence.to(tl.int64) * table_stride
    top = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    if WINDOW > 0:
        whole = start
    else:
        acc, top, total = _attend(
            acc, top, total, q, position, kv_ptrs, table, start, whole, score_scale, cap,
            False, WINDOW, CAPPED, FP8, KV_HEADS, HEAD_DIM, BLOCK_D, BLOCK_TOKENS, BLOCK_N, STAGES,
        )  # fmt: skip
    acc, top, total = _attend(
        acc, top, total, q, position, kv_ptrs, table, whole, end, score_scale, cap,
        True, WINDOW, CAPPED, FP8, KV_HEADS, HEAD_DIM, BLOCK_D, BLOCK_TOKENS, BLOCK_N, STAGES,
    )  # fmt: skip
    acc = acc * (v_scale / tl.where(total > 0.0, total, 1.0))[:, None]
    out = out_ptr + row[:, None] * out_stride + column
    tl.store(out, acc.to(out_ptr.dtype.element_ty), mask=keep)


def prefill_attention(
    q: Tensor,
    kv_blocks: Tensor,
    block_table: Tensor,
    seq_lens: Tensor,
    query_starts: Tensor,
    tiles: Tensor,
    scale: float,
    *,
    tile: PrefillTile,
    window: int = 0,
    softcap: float = 0.0,
    k_scale: float = 1.0,
    v_scale: float = 1.0,
    out: Tensor | None = None,
    pdl: bool = False,
) -> Tensor:
    """Causal attention of each sequence's last tokens, its chunk, over its keys and values.

    `q` is `[rows, heads, head_dim]`, whose rows may be strided; those of sequence `i` are
    `query_starts[i] … query_starts[i + 1]` (int32 `[sequences + 1]`), the last of its
    `seq_lens[i]` tokens (int32 `[sequences]`). `tiles` int32 `[tiles, 2]` is `list_tiles` for
    `tile.queries(heads // kv_heads)`; a sequence of -1 is padding. `kv_blocks`, `block_table`,
    `scale`, `window`, `softcap`, `k_scale` and `v_scale` are those of `decode_attention`. Returns
    `[rows, heads · head_dim]` in `out`; rows of no tile are left as they were.
    """
    rows, heads, head_dim = q.shape
    kv_heads = kv_blocks.shape[3]
    if out is None:
        out = torch.empty((rows, heads * head_dim), dtype=q.dtype, device=q.device)
    _prefill_kernel[(kv_heads, tiles.shape[0])](
        q,
        kv_blocks,
        block_table,
        seq_lens,
        query_starts,
        tiles,
        out,
        q.stride(0),
        block_table.stride(0),
        out.stride(0),
        scale * k_scale * LOG2_E,
        softcap * LOG2_E,
        v_scale,
        GROUP=heads // kv_heads,
        KV_HEADS=kv_heads,
        HEAD_DIM=head_dim,
        BLOCK_TOKENS=kv_blocks.shape[1],
        WINDOW=window,
        CAPPED=softcap > 0,
        FP8=kv_blocks.dtype is torch.float8_e4m3fn,
        QUERIES=tile.queries(heads // kv_heads),
        BLOCK_M=tile.rows,
        BLOCK_D=triton.next_power_of_2(head_dim),
        BLOCK_N=tile.keys,
        STAGES=tile.stages,
        PDL=pdl,
        num_warps=tile.warps,
        **launch_options(pdl),
    )
    return out
