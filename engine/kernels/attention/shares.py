"""Shares of a sequence's keys, each with a softmax of its own, made one by the last to finish."""

import triton
import triton.language as tl


def shares_at_once(splits: int, elements: int, warps: int) -> int:
    """Shares of `elements` that a program combines at a time: 64 registers a thread."""
    return min(splits, max(1, 64 * 32 * warps // elements))


@triton.jit
def _combine(
    partial_ptr, lse_ptr, out_ptr, active, SPLITS: tl.constexpr, GROUP: tl.constexpr,
    HEAD_DIM: tl.constexpr, BLOCK_G: tl.constexpr, BLOCK_D: tl.constexpr, AT_ONCE: tl.constexpr,
):  # fmt: skip
    """The softmax of all keys from that of `active` shares, to `out_ptr` `[group, head_dim]`."""
    group = tl.arange(0, BLOCK_G)
    in_group = group < GROUP
    column = tl.arange(0, BLOCK_D)[None, :]
    keep = in_group[:, None] & (column < HEAD_DIM)
    offsets = group[:, None] * HEAD_DIM + column
    share = tl.arange(0, SPLITS)
    lse = tl.load(
        lse_ptr + share[:, None] * GROUP + group[None, :],
        mask=(share < active)[:, None] & in_group[None, :],
        other=float("-inf"),
        cache_modifier=".cg",
    )
    top = tl.where(in_group, tl.max(lse, axis=0), 0.0)
    total = tl.sum(tl.exp2(lse - top[None, :]), axis=0)
    merged = tl.zeros_like(offsets).to(tl.float32)
    for first in range(0, active, AT_ONCE):
        some = first + tl.arange(0, AT_ONCE)
        filled = some < active
        sums = tl.load(
            lse_ptr + some[:, None] * GROUP + group[None, :],
            mask=filled[:, None] & in_group[None, :],
            other=float("-inf"),
            cache_modifier=".cg",
        )
        parts = tl.load(
            partial_ptr + some[:, None, None] * (GROUP * HEAD_DIM) + offsets[None, :, :],
            mask=filled[:, None, None] & keep[None, :, :],
            other=0.0,
            cache_modifier=".cg",
        )
        weights = tl.exp2(sums - top[None, :])
        merged += tl.sum(parts * weights[:, :, None], axis=0)
    merged /= tl.where(total > 0.0, total, 1.0)[:, None]
    tl.store(out_ptr + offsets, merged.to(out_ptr.dtype.element_ty), mask=keep)


@triton.jit
def combine_if_last(
    arrived_ptr, partial_ptr, lse_ptr, out_ptr, active, SPLITS: tl.constexpr, GROUP: tl.constexpr,
    HEAD_DIM: tl.constexpr, BLOCK_G: tl.constexpr, BLOCK_D: tl.constexpr, AT_ONCE: tl.constexpr,
):  # fmt: skip
    """Count this program's share at `arrived_ptr`, and combine all if it is the last of `active`.

    The count is 0 again for the next launch.
    """
    # All threads' stores come before the count goes up.
    tl.debug_barrier()
    before = tl.atomic_add(arrived_ptr, 1, sem="acq_rel")
    if before == active - 1:
        tl.store(arrived_ptr, 0)
        _combine(
            partial_ptr, lse_ptr, out_ptr, active, SPLITS, GROUP, HEAD_DIM, BLOCK_G, BLOCK_D,
            AT_ONCE,
        )  # fmt: skip
