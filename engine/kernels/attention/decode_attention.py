"""Attention of one new token a sequence over the paged KV cache, its keys split over programs.

Flash-decoding (Dao et al. 2023): each program takes a split of a sequence's keys for one KV head
and the query heads that share it; the program of a (sequence, KV head) that finishes last merges
the splits, so that there is no second launch. The grid depends on the number of rows alone, so that
a CUDA graph can hold it; a program finds its split from the sequence's length on the device. Head
norms, the rotation and the write of the new key and value into the cache are part of the kernel.
"""

import triton
from torch import Tensor, int32

from ..common.dependent_launch import launch_options
from ..common.gpu_limits import interpreted
from .decode_kernel import decode_kernel
from .decode_mma import decode_mma_kernel
from .decode_plan import DecodePlan, MmaTile
from .key_splits import splits_per_load
from .online_softmax import LOG2_E
from .rotary import HeadNorms

_MMA_SPLITS = 16
"""Splits that `decode_mma_kernel` is compiled for: one kernel for all but very long contexts."""


def decode_attention(
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
    out: Tensor,
    norms: HeadNorms | None = None,
    window: int = 0,
    softcap: float = 0.0,
    pdl: bool = False,
) -> Tensor:
    """Rotate and store each sequence's last token, and attend to its keys and values.

    `qkv` `[sequences, (heads + 2 kv_heads) · head_dim]`, whose rows may be strided, `kv_blocks`,
    `slots` `[sequences]`, `cos`, `sin` and `norms` are those of `rotate_and_store`; `qkv` is left
    as it is. `block_table` is int32 `[sequences, width]`; `seq_lens` int32 `[sequences]` counts the
    new token too, whose position is the last, and 0 marks a padding row, which gets zeros. No two
    rows may be of one sequence. Scores are times `scale`. `window` limits a query to that many last
    keys, itself included (0: all); `softcap` bounds scores as Gemma 2 does (0: not). Returns `out`
    `[sequences, heads · head_dim]`.
    """
    tile, splits = plan.tile, plan.splits
    kv_heads, head_dim = kv_blocks.shape[3], kv_blocks.shape[4]
    group = qkv.shape[1] // head_dim // kv_heads - 2
    block_g, block_d = triton.next_power_of_2(group), triton.next_power_of_2(head_dim)
    tensors = (
        block_table,
        seq_lens,
        out,
        plan.partials,
        plan.lse,
        plan.arrived,
        slots,
        cos,
        sin,
        cos if norms is None else norms.query,
        cos if norms is None else norms.key,
    )
    numbers = (
        block_table.stride(0),
        out.stride(0),
        block_table.shape[1],
        0.0 if norms is None else norms.eps,
        scale * LOG2_E,
        softcap * LOG2_E,
    )
    shape_and_launch = {
        "SPLIT_KEYS": tile.split_keys,
        "GROUP": group,
        "KV_HEADS": kv_heads,
        "HEAD_DIM": head_dim,
        "BLOCK_TOKENS": kv_blocks.shape[1],
        "WINDOW": window,
        "CAPPED": softcap > 0,
        "NORM": norms is not None,
        "BLOCK_G": block_g,
        "PDL": pdl,
        "num_warps": tile.warps,
        **launch_options(pdl),
    }
    grid = (kv_heads, qkv.shape[0], splits)
    if isinstance(tile, MmaTile):
        max_splits = max(_MMA_SPLITS, splits)
        decode_mma_kernel[grid](
            qkv.view(int32),
            kv_blocks.view(int32),
            *tensors,
            qkv.stride(0) // 2,
            *numbers,
            splits,
            MAX_SPLITS=max_splits,
            INLINE_PTX=not interpreted(qkv.device),
            WARPS=tile.warps,
            TILES=tile.tiles,
            PER_LOAD=splits_per_load(max_splits, block_g * head_dim, tile.warps),
            **shape_and_launch,
        )
    else:
        decode_kernel[grid](
            qkv,
            kv_blocks,
            *tensors,
            qkv.stride(0),
            *numbers,
            SPLITS=splits,
            PREFETCH=tile.prefetch,
            PAIRS=tile.pairs,
            INLINE_PTX=not interpreted(qkv.device),
            BLOCK_H=max(16, block_g),
            BLOCK_D=block_d,
            BLOCK_N=tile.keys,
            STAGES=tile.stages,
            PER_LOAD=splits_per_load(splits, block_g * block_d, tile.warps),
            **shape_and_launch,
        )
    return out
