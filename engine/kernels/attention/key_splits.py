"""Flash-decoding's splits: merge the partial softmaxes of a sequence's keys in the last program.

Each split leaves its normalized result and the base-2 logarithm of its sum; whichever program of a
(sequence, KV head) arrives last merges them, so that there is no second launch.
"""

import triton
import triton.language as tl


def splits_per_load(splits: int, elements: int, warps: int) -> int:
    """Splits of `elements` that a program loads at a time to merge them: 64 registers a thread."""
    return min(splits, max(1, 64 * 32 * warps // elements))


@triton.jit
def _merge(
    partial_ptr, lse_ptr, out_ptr, active, SPLITS: tl.constexpr, GROUP: tl.constexpr,
    HEAD_DIM: tl.constexpr, BLOCK_G: tl.constexpr, BLOCK_D: tl.constexpr, PER_LOAD: tl.constexpr,
):  # fmt: skip
    """Write the softmax of all `active` splits' keys to `out_ptr` `[group, head_dim]`."""
    group = tl.arange(0, BLOCK_G)
    in_group = group < GROUP
    column = tl.arange(0, BLOCK_D)[None, :]
    keep = in_group[:, None] & (column < HEAD_DIM)
    offsets = group[:, None] * HEAD_DIM + column
    split = tl.arange(0, SPLITS)
    lse = tl.load(
        lse_ptr + split[:, None] * GROUP + group[None, :],
        mask=(split < active)[:, None] & in_group[None, :],
        other=float("-inf"),
        cache_modifier=".cg",
    )
    lse_max = tl.where(in_group, tl.max(lse, axis=0), 0.0)
    total = tl.sum(tl.exp2(lse - lse_max[None, :]), axis=0)
    merged = tl.zeros_like(offsets).to(tl.float32)
    for first in range(0, active, PER_LOAD):
        loaded = first + tl.arange(0, PER_LOAD)
        filled = loaded < active
        loaded_lse = tl.load(
            lse_ptr + loaded[:, None] * GROUP + group[None, :],
            mask=filled[:, None] & in_group[None, :],
            other=float("-inf"),
            cache_modifier=".cg",
        )
        partials = tl.load(
            partial_ptr + loaded[:, None, None] * (GROUP * HEAD_DIM) + offsets[None, :, :],
            mask=filled[:, None, None] & keep[None, :, :],
            other=0.0,
            cache_modifier=".cg",
        )
        weights = tl.exp2(loaded_lse - lse_max[None, :])
        merged += tl.sum(partials * weights[:, :, None], axis=0)
    merged /= tl.where(total > 0.0, total, 1.0)[:, None]
    tl.store(out_ptr + offsets, merged.to(out_ptr.dtype.element_ty), mask=keep)


@triton.jit
def merge_if_last(
    arrived_ptr, partial_ptr, lse_ptr, out_ptr, active, SPLITS: tl.constexpr, GROUP: tl.constexpr,
    HEAD_DIM: tl.constexpr, BLOCK_G: tl.constexpr, BLOCK_D: tl.constexpr, PER_LOAD: tl.constexpr,
):  # fmt: skip
    """Count this program's split at `arrived_ptr`, and merge all if it is the last of `active`.

    The count is 0 again for the next launch.
    """
    # All threads' stores come before the count goes up.
    tl.debug_barrier()
    before = tl.atomic_add(arrived_ptr, 1, sem="acq_rel")
    if before == active - 1:
        tl.store(arrived_ptr, 0)
        _merge(
            partial_ptr, lse_ptr, out_ptr, active, SPLITS, GROUP, HEAD_DIM, BLOCK_G, BLOCK_D,
            PER_LOAD,
        )  # fmt: skip
