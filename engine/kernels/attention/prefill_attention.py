"""Attention of prompt chunks over the KV cache (FlashAttention-2; Dao 2023).

The query heads that share a KV head are packed into a tile's rows, so that keys and values are
read once for all of them. They come from the paged cache, or from where they were gathered before
(`gathered_keys`): then the copy engine brings whole tiles of them.
"""

import triton
import triton.language as tl
from torch import Tensor

from .gathered_keys import GatheredKeys
from .online_softmax import LOG2_E, add_tile, tile_products, tile_scores
from .paged_kv import for_tile, load_kv_tile, token_slots
from .prefill_tiles import PrefillTile


@triton.jit
def _attend(
    acc,
    row_max,
    row_sum,
    q,
    position,
    kv,
    table,
    base,
    kv_head,
    start,
    end,
    score_scale,
    cap,
    MASKED: tl.constexpr,
    WINDOW: tl.constexpr,
    CAPPED: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
    GATHERED: tl.constexpr,
):
    """The online softmax over keys `start … end`, masked where not every query sees every key.

    They are at the pointers `kv`, by block table, or in the rows of the descriptor `kv` from `base`
    on.
    """
    in_head = tl.arange(0, BLOCK_D) < HEAD_DIM
    for first in tl.range(start, end, BLOCK_N, num_stages=STAGES):
        token = first + tl.arange(0, BLOCK_N)
        inside = token < end
        if GATHERED:
            # Rows past a sequence's end are zeros.
            k = kv.load([base + first, kv_head * HEAD_DIM])
            v = kv.load([base + first, (KV_HEADS + kv_head) * HEAD_DIM])
        else:
            slot = token_slots(table, token, inside, BLOCK_TOKENS)
            # Without a mask where a tile has neither tokens past the chunk's end nor padded heads.
            masked_load: tl.constexpr = MASKED or HEAD_DIM != BLOCK_D
            k, v = load_kv_tile(
                kv, slot, inside, in_head[None, :], KV_HEADS * HEAD_DIM, masked_load
            )
        if CAPPED:
            scores = tile_scores(q, k, score_scale, cap, True)
            scale = 1.0
        else:
            scores = tile_products(q, k)
            scale = score_scale
        if MASKED:
            seen = inside[None, :] & (token[None, :] <= position[:, None])
            if WINDOW > 0:
                seen = seen & (token[None, :] > position[:, None] - WINDOW)
            scores = tl.where(seen, scores, float("-inf"))
        # A row may see no key of a window's first tiles.
        acc, row_max, row_sum = add_tile(acc, row_max, row_sum, scores, v, WINDOW > 0, scale)
    return acc, row_max, row_sum


@triton.jit(
    do_not_specialize=[
        "table_ptr", "lens_ptr", "starts_ptr", "tiles_ptr", "key_starts_ptr", "table_stride",
    ]
)  # fmt: skip
def _prefill_kernel(
    q_ptr,
    kv,
    table_ptr,
    lens_ptr,
    starts_ptr,
    tiles_ptr,
    key_starts_ptr,
    out_ptr,
    q_stride,
    table_stride,
    out_stride,
    score_scale,
    cap,
    GROUP: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    WINDOW: tl.constexpr,
    CAPPED: tl.constexpr,
    QUERIES: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_N: tl.constexpr,
    STAGES: tl.constexpr,
    GATHERED: tl.constexpr,
):
    kv_head = tl.program_id(0)
    sequence = tl.load(tiles_ptr + 2 * tl.program_id(1))
    first = tl.load(tiles_ptr + 2 * tl.program_id(1) + 1)
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

    position = seq_len - queries + query
    oldest = seq_len - queries + first
    end = tl.minimum(oldest + QUERIES, seq_len)
    start = 0
    if WINDOW > 0:
        start = tl.maximum(oldest - WINDOW + 1, 0) // BLOCK_N * BLOCK_N
    # Keys up to the oldest query's own are seen by all rows: whole tiles of them need no mask.
    whole = (oldest + 1) // BLOCK_N * BLOCK_N
    table = table_ptr + sequence.to(tl.int64) * table_stride
    base = 0
    if GATHERED:
        base = tl.load(key_starts_ptr + sequence)
    else:
        q = for_tile(q, kv.dtype.element_ty)
        kv = kv + kv_head * HEAD_DIM + offs_d[None, :]
    row_max = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    row_sum = tl.zeros((BLOCK_M,), tl.float32)
    acc = tl.zeros((BLOCK_M, BLOCK_D), tl.float32)
    if WINDOW > 0:
        whole = start
    else:
        acc, row_max, row_sum = _attend(
            acc, row_max, row_sum, q, position, kv, table, base, kv_head, start, whole,
            score_scale, cap, False, WINDOW, CAPPED, KV_HEADS, HEAD_DIM, BLOCK_D, BLOCK_TOKENS,
            BLOCK_N, STAGES, GATHERED,
        )  # fmt: skip
    acc, row_max, row_sum = _attend(
        acc, row_max, row_sum, q, position, kv, table, base, kv_head, whole, end,
        score_scale, cap, True, WINDOW, CAPPED, KV_HEADS, HEAD_DIM, BLOCK_D, BLOCK_TOKENS,
        BLOCK_N, STAGES, GATHERED,
    )  # fmt: skip
    acc = acc * (1.0 / tl.where(row_sum > 0.0, row_sum, 1.0))[:, None]
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
    out: Tensor,
    tile: PrefillTile,
    window: int = 0,
    softcap: float = 0.0,
    gathered: GatheredKeys | None = None,
    key_starts: Tensor | None = None,
) -> Tensor:
    """Causal attention of each sequence's last tokens, its chunk, over its keys and values.

    `q` is `[rows, heads, head_dim]`, whose rows may be strided; those of sequence `i` are
    `query_starts[i] … query_starts[i + 1]` (int32 `[sequences + 1]`), the last of its
    `seq_lens[i]` tokens (int32 `[sequences]`). `kv_blocks` `[blocks, block_tokens, 2, kv_heads,
    head_dim]`, in the dtype of `q` or e4m3, already holds their keys and values. `tiles` int32
    `[tiles, 2]` is `list_tiles` for `tile.queries(heads // kv_heads)`; a sequence of -1 is padding.
    `block_table`, `scale`, `window` and `softcap` are those of `decode_attention`.

    With `gathered` keys, of the dtype of `q`, the cache is not read: `tile` is `gathered.tile` and
    `key_starts` int32 `[sequences]` says in which row each sequence begins.

    Returns `out` `[rows, heads · head_dim]`; rows of no tile are left as they were.
    """
    heads, head_dim = q.shape[1:]
    kv_heads = kv_blocks.shape[3]
    group = heads // kv_heads
    _prefill_kernel[(kv_heads, tiles.shape[0])](
        q,
        kv_blocks if gathered is None else gathered.descriptor(),
        block_table,
        seq_lens,
        query_starts,
        tiles,
        tiles if key_starts is None else key_starts,
        out,
        q.stride(0),
        block_table.stride(0),
        out.stride(0),
        scale * LOG2_E,
        softcap * LOG2_E,
        GROUP=group,
        KV_HEADS=kv_heads,
        HEAD_DIM=head_dim,
        BLOCK_TOKENS=kv_blocks.shape[1],
        WINDOW=window,
        CAPPED=softcap > 0,
        QUERIES=tile.queries(group),
        BLOCK_M=tile.rows,
        BLOCK_D=triton.next_power_of_2(head_dim),
        BLOCK_N=tile.keys,
        STAGES=tile.stages,
        GATHERED=gathered is not None,
        num_warps=tile.warps,
        maxnreg=tile.registers,
    )
    return out
