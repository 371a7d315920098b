"""How a decode step's attention is cut into programs: the kernel, its tile, splits and scratch."""

from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from ..common.gpu_limits import gpu_limits, largest_power_of_two

_FEW_PAIRS = 64
"""(Sequence, KV head) pairs up to which a program's own latency counts more than bandwidth."""


@dataclass(frozen=True, slots=True)
class DecodeTile:
    """How a program of `decode_kernel` works: keys a tile, warps, and tiles in flight.

    `split_keys` are the fewest keys of a split, no less than a tile. `prefetch`: a program loads
    its first tile before the kernel before has finished; it pays while splits are of a tile or two.
    `pairs`: an fp8 cache is read as `fp8_pairs`; not together with `prefetch`.
    """

    keys: int
    warps: int
    stages: int
    split_keys: int
    prefetch: bool = False
    pairs: bool = False


@dataclass(frozen=True, slots=True)
class MmaTile:
    """How a program of `decode_mma_kernel` works: warps, and tiles of 16 keys in flight in each.

    `split_keys` are the fewest keys of a split. Raises ValueError where they are fewer than all
    warps' tiles.
    """

    warps: int
    tiles: int
    split_keys: int

    def __post_init__(self) -> None:
        if self.split_keys < self.warps * self.tiles * 16:
            raise ValueError(f"a split of {self.split_keys} keys is less than the warps' tiles")


@dataclass(frozen=True, slots=True)
class DecodePlan:
    """Grid and scratch memory of `decode_attention` for up to `sequences` rows.

    `partials` fp32 `[sequences, kv_heads, splits, group, head_dim]` are the splits' results, `lse`
    fp32 `[sequences, kv_heads, splits, group]` the base-2 logarithms of their sums, and `arrived`
    int32 `[sequences, kv_heads]` counts finished programs; each launch leaves it at 0. Launches one
    after the other may use the same plan.
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
    kv_dtype: torch.dtype,
    device: torch.device,
    *,
    splits: int | None = None,
    tile: DecodeTile | MmaTile | None = None,
) -> DecodePlan:
    """The plan for `sequences` rows of up to `context_tokens` keys in a cache of `kv_dtype`.

    `tile` and `splits`, a power of two, override what is chosen from the shape.
    """
    group = heads // kv_heads
    if tile is None:
        tile = decode_tile(sequences * kv_heads, group, head_dim, kv_dtype)
    if splits is None:
        choose = mma_splits if isinstance(tile, MmaTile) else decode_splits
        processors = gpu_limits(device).multiprocessors
        splits = choose(sequences * kv_heads, context_tokens, tile.split_keys, processors)
    shape = (sequences, kv_heads, splits, group)
    return DecodePlan(
        splits=splits,
        tile=tile,
        partials=torch.empty((*shape, head_dim), dtype=torch.float32, device=device),
        lse=torch.empty(shape, dtype=torch.float32, device=device),
        arrived=torch.zeros((sequences, kv_heads), dtype=torch.int32, device=device),
    )


def has_mma_kernel(kv_dtype: torch.dtype, group: int, head_dim: int) -> bool:
    """Whether `decode_mma_kernel` takes a cache's dtype and `group` query heads a KV head.

    A block of the cache must hold a multiple of 16 tokens.
    """
    return kv_dtype is torch.bfloat16 and group <= 8 and head_dim in (64, 128, 256)


def decode_tile(
    pairs: int, group: int, head_dim: int, kv_dtype: torch.dtype
) -> DecodeTile | MmaTile:
    """The tile for a number of (sequence, KV head) pairs, a shape and the cache's dtype.

    While programs are few, splits are short and a program's own latency counts; when they are many,
    small programs, many to a multiprocessor, keep most memory requests in flight.
    """
    wide = head_dim > 128 or group > 16
    if pairs <= _FEW_PAIRS and has_mma_kernel(kv_dtype, group, head_dim):
        # Three tiles of larger heads do not fit the registers.
        return MmaTile(warps=8, tiles=3 if head_dim <= 128 else 1, split_keys=384)
    if kv_dtype.itemsize == 1 and head_dim in (64, 128) and group <= 16:
        if pairs <= 256:
            return DecodeTile(128, warps=4, stages=3, split_keys=256, pairs=True)
        return DecodeTile(32, warps=1, stages=4, split_keys=1024, pairs=True)
    if kv_dtype.itemsize > 2:
        return DecodeTile(32, warps=4, stages=2, split_keys=64 if pairs <= _FEW_PAIRS else 1024)
    if pairs <= _FEW_PAIRS:
        return DecodeTile(32 if wide else 64, warps=4, stages=2, split_keys=64, prefetch=True)
    if pairs <= 256:
        return DecodeTile(64, warps=4, stages=3 if wide else 4, split_keys=256)
    if kv_dtype.itemsize == 1:
        return DecodeTile(64, warps=4, stages=3 if wide else 5, split_keys=1024)
    # One warp would be faster where all are of one length, and slower where they are not.
    return DecodeTile(64, warps=4 if wide else 2, stages=3 if wide else 4, split_keys=1024)


def decode_splits(pairs: int, context_tokens: int, split_keys: int, processors: int) -> int:
    """The most splits a sequence is cut into for `decode_kernel`; a power of two.

    Enough for two programs on each multiprocessor; and with many sequences, some for the few that
    are much longer than the others. An empty split costs a program that leaves at once; but the
    kernel after waits for all of them to have come and gone (64 instead of 16 splits of one short
    sequence: 1.6 us), so there are many only where a context may be long.
    """
    wanted = max(2 * processors // pairs, min(8, context_tokens // 2048), 1)
    longest = triton.next_power_of_2(triton.cdiv(context_tokens, split_keys))
    limit = max(16, triton.next_power_of_2(context_tokens) // 1024)
    return int(min(triton.next_power_of_2(wanted), limit, 128, longest))


def mma_splits(pairs: int, context_tokens: int, split_keys: int, processors: int) -> int:
    """The most splits of a sequence for `decode_mma_kernel`; a power of two.

    No more programs than multiprocessors, one on each: more would wait for those that have nothing
    to do.
    """
    longest = triton.next_power_of_2(triton.cdiv(context_tokens, split_keys))
    return min(largest_power_of_two(max(1, processors // pairs)), int(longest))
