"""Attention of one query a sequence over the paged KV cache, its keys split over programs.

FlashDecoding (Dao et al. 2023): each program takes a share of a sequence's keys for one KV head and
all query heads that share it; the program of a (sequence, KV head) that finishes last combines the
shares, so that there is no second launch. The grid depends on the number of rows alone, so that a
CUDA graph can hold it; a program finds its share from the sequence's length on the device.
"""

from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from ..common.dependent_launch import launch_options
from ..common.gpu_limits import gpu_limits, largest_power_of_two
from .decode_kernel import decode_kernel
from .decode_mma import MmaTile, decode_mma
from .rotary import PLAIN, RotaryOptions
from .shares import shares_at_once
from .softmax import LOG2_E


@dataclass(frozen=True, slots=True)
class DecodeTile:
    """How a program works: keys a tile, warps, tiles in flight, and the fewest keys of a share.

    A share is no less than a tile. `eager`: the fused kernel loads a share's first tile by itself,
    before the kernel before has finished; it pays while shares are of a tile or two.
    """

    keys: int
    warps: int
    stages: int
    share: int
    eager: bool = False


@dataclass(frozen=True, slots=True)
class DecodePlan:
    """Grid and scratch memory of `decode_attention` for up to `sequences` rows.

    `partials` fp32 `[sequences, kv_heads, splits, group, head_dim]` are the shares' results,
    `lse` fp32 `[sequences, kv_heads, splits, group]` the base-2 logarithms of their sums, and
    `arrived` int32 `[sequences, kv_heads]` counts finished programs; each launch leaves it at 0.
    Launches one after the other may share a plan. One with an `MmaTile` is for the fused step only.
    """

    splits: int
    tile: DecodeTile | MmaTile
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
    element_bytes: int = 2,
    mma: bool = False,
    splits: int | None = None,
    tile: DecodeTile | MmaTile | None = None,
) -> DecodePlan:
    """The plan for `sequences` rows of up to `context_tokens` keys.

    `element_bytes` is the size of the cache's dtype; with `mma` the plan may be one for
    `decode_mma`, which must then take the shape. `tile` and `splits`, a power of two, override what
    is chosen from the shape.
    """
    if tile is None:
        pairs = sequences * kv_heads
        tile = decode_tile(pairs, heads // kv_heads, head_dim, element_bytes, mma)
    if splits is None:
        choose = mma_splits if isinstance(tile, MmaTile) else decode_splits
        processors = gpu_limits(device).multiprocessors
        splits = choose(sequences * kv_heads, context_tokens, tile.share, processors)
    shape = (sequences, kv_heads, splits, heads // kv_heads)
    return DecodePlan(
        splits=splits,
        tile=tile,
        partials=torch.empty((*shape, head_dim), dtype=torch.float32, device=device),
        lse=torch.empty(shape, dtype=torch.float32, device=device),
        arrived=torch.zeros((sequences, kv_heads), dtype=torch.int32, device=device),
    )


def decode_tile(
    pairs: int, group: int, head_dim: int, element_bytes: int, mma: bool = False
) -> DecodeTile | MmaTile:
    """The tile for a number of (sequence, KV head) pairs, a shape and the cache's element size.

    While programs are few, shares are short and a program's own latency counts; when they are many,
    small programs, many to a multiprocessor, keep most memory requests in flight.
    """
    wide = head_dim > 128 or group > 16
    if mma and pairs <= 64:
        # Three tiles of larger heads do not fit the registers.
        return MmaTile(warps=8, tiles=3 if head_dim <= 128 else 1, share=384)
    if element_bytes > 2:
        return DecodeTile(keys=32, warps=4, stages=2, share=64 if pairs <= 64 else 1024)
    if pairs <= 64:
        return DecodeTile(keys=32 if wide else 64, warps=4, stages=2, share=64, eager=True)
    if pairs <= 256:
        return DecodeTile(keys=64, warps=4, stages=3 if wide else 4, share=256)
    if element_bytes == 1:
        return DecodeTile(keys=64, warps=4, stages=3 if wide else 5, share=1024)
    # One warp would be faster where all are of one length, and slower where they are not.
    return DecodeTile(keys=64, warps=4 if wide else 2, stages=3 if wide else 4, share=1024)


def decode_splits(pairs: int, context_tokens: int, share: int, processors: int) -> int:
    """Shares a sequence is cut into at most.

    Enough for two programs on each multiprocessor; and with many sequences, some for the few that
    are much longer than the others. A share that stays empty costs a program that leaves at once;
    but the kernel after waits for all of them to have come and gone (64 instead of 16 shares of one
    short sequence: 1.6 us), so there are many only where a context may be long.
    """
    wanted = max(2 * processors // pairs, min(8, context_tokens // 2048), 1)
    most = triton.next_power_of_2(triton.cdiv(context_tokens, share))
    limit = max(16, triton.next_power_of_2(context_tokens) // 1024)
    return int(min(triton.next_power_of_2(wanted), limit, 128, most))


def mma_splits(pairs: int, context_tokens: int, share: int, processors: int) -> int:
    """Shares of a sequence for `decode_mma`: no more programs than multiprocessors, one on each.

    More would wait for those that have nothing to do.
    """
    most = triton.next_power_of_2(triton.cdiv(context_tokens, share))
    return min(largest_power_of_two(max(1, processors // pairs)), int(most))


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

    Raises ValueError for a plan of the fused kernel alone.
    """
    if isinstance(plan.tile, MmaTile):
        raise ValueError("this plan is for the fused kernel alone")
    if out is None:
        out = torch.empty((q.shape[0], q.shape[1] * q.shape[2]), dtype=q.dtype, device=q.device)
    scores = _Scores(scale, window, softcap, k_scale, v_scale)
    _launch(
        q, q.shape[1], kv_blocks, block_table, seq_lens, plan, plan.tile, scores, None, out, pdl
    )
    return out


def decode_attention_fused(
    qkv: Tensor,
    kv_blocks: Tensor,
    block_table: Tensor,
    seq_lens: Tensor,
    slots: Tensor,
    cos: Tensor,
    sin: Tensor,
    plan: DecodePlan,
    scale: float,
    *,
    options: RotaryOptions = PLAIN,
    window: int = 0,
    softcap: float = 0.0,
    out: Tensor | None = None,
    pdl: bool = False,
) -> Tensor:
    """`rotate_and_store`, then `decode_attention`, in one kernel.

    `qkv` `[sequences, (heads + 2 kv_heads) · head_dim]`, `slots`, `cos`, `sin` and `options` are
    those of `rotate_and_store`, the rest those of `decode_attention`. A row is its sequence's last
    token, whose position is `seq_lens - 1`; no two rows may be of one sequence. `qkv` is left as
    it is.
    """
    kv_heads, head_dim = kv_blocks.shape[3], kv_blocks.shape[4]
    heads = qkv.shape[1] // head_dim - 2 * kv_heads
    if out is None:
        out = torch.empty((qkv.shape[0], heads * head_dim), dtype=qkv.dtype, device=qkv.device)
    if isinstance(plan.tile, MmaTile):
        return decode_mma(
            qkv,
            kv_blocks,
            block_table,
            seq_lens,
            slots,
            cos,
            sin,
            plan,
            plan.tile,
            scale,
            options=options,
            window=window,
            softcap=softcap,
            out=out,
            pdl=pdl,
        )
    scores = _Scores(scale, window, softcap, options.k_scale, options.v_scale)
    new = _NewTokens(slots, cos, sin, options)
    _launch(qkv, heads, kv_blocks, block_table, seq_lens, plan, plan.tile, scores, new, out, pdl)
    return out


@dataclass(frozen=True, slots=True)
class _Scores:
    scale: float
    window: int
    softcap: float
    k_scale: float
    v_scale: float


@dataclass(frozen=True, slots=True)
class _NewTokens:
    slots: Tensor
    cos: Tensor
    sin: Tensor
    options: RotaryOptions


def _launch(
    q: Tensor,
    heads: int,
    kv_blocks: Tensor,
    block_table: Tensor,
    seq_lens: Tensor,
    plan: DecodePlan,
    tile: DecodeTile,
    scores: _Scores,
    new: _NewTokens | None,
    out: Tensor,
    pdl: bool,
) -> None:
    """`q` holds queries, or with `new` rows of the projection."""
    kv_heads, head_dim = kv_blocks.shape[3], kv_blocks.shape[4]
    group = heads // kv_heads
    block_g, block_d = triton.next_power_of_2(group), triton.next_power_of_2(head_dim)
    options = PLAIN if new is None else new.options
    decode_kernel[(kv_heads, q.shape[0], plan.splits)](
        q,
        kv_blocks,
        block_table,
        seq_lens,
        out,
        plan.partials,
        plan.lse,
        plan.arrived,
        seq_lens if new is None else new.slots,
        plan.lse if new is None else new.cos,
        plan.lse if new is None else new.sin,
        plan.lse if options.q_norm is None else options.q_norm,
        plan.lse if options.k_norm is None else options.k_norm,
        q.stride(0),
        block_table.stride(0),
        out.stride(0),
        block_table.shape[1],
        options.eps,
        scores.scale * scores.k_scale * LOG2_E,
        scores.softcap * LOG2_E,
        scores.k_scale,
        scores.v_scale,
        SPLITS=plan.splits,
        SHARE=tile.share,
        GROUP=group,
        KV_HEADS=kv_heads,
        HEAD_DIM=head_dim,
        BLOCK_TOKENS=kv_blocks.shape[1],
        WINDOW=scores.window,
        CAPPED=scores.softcap > 0,
        FP8=kv_blocks.dtype is torch.float8_e4m3fn,
        CLEAN=kv_blocks.dtype is torch.float16,
        TURN=new is not None,
        HALF=0 if new is None else new.cos.shape[1],
        NORM=options.q_norm is not None,
        EAGER=new is not None and tile.eager,
        BLOCK_H=max(16, block_g),
        BLOCK_G=block_g,
        BLOCK_D=block_d,
        BLOCK_N=tile.keys,
        STAGES=tile.stages,
        AT_ONCE=shares_at_once(plan.splits, block_g * block_d, tile.warps),
        PDL=pdl,
        num_warps=tile.warps,
        **launch_options(pdl),
    )
