"""Gathers the keys and values of a step's prefill chunks from the paged cache, layer by layer.

They come to lie in rows as the cache has them, sequence after sequence, each padded with zeros to a
multiple of `KEY_TILE`, so that the copy engine can bring whole tiles of them (`gather_plan`).
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from ..common.gpu_limits import gpu_limits
from ..common.tile_descriptors import tile_descriptor
from .gather_plan import KEY_TILE, scratch_tokens
from .paged_kv import token_slots
from .prefill_tiles import PrefillTile, gathered_tile


@triton.jit(
    do_not_specialize=[
        "table_ptr", "lens_ptr", "starts_ptr", "key_tiles_ptr", "key_starts_ptr", "table_stride",
    ]
)  # fmt: skip
def _gather_kernel(
    kv_ptr,
    out_ptr,
    table_ptr,
    lens_ptr,
    starts_ptr,
    key_tiles_ptr,
    key_starts_ptr,
    table_stride,
    WIDTH: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    WINDOW: tl.constexpr,
    TOKENS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Copy `TOKENS` rows of one tile, `COLUMNS` of its `WIDTH` columns."""
    tile = tl.program_id(1)
    sequence = tl.load(key_tiles_ptr + tile)
    if sequence < 0:
        return
    seq_len = tl.load(lens_ptr + sequence)
    first = tile * TOKENS - tl.load(key_starts_ptr + sequence)
    if WINDOW > 0:
        queries = tl.load(starts_ptr + sequence + 1) - tl.load(starts_ptr + sequence)
        # Not seen by the oldest query: by no other either.
        if first + TOKENS <= seq_len - queries - WINDOW + 1:
            return
    token = first + tl.arange(0, TOKENS)
    inside = token < seq_len
    table = table_ptr + sequence.to(tl.int64) * table_stride
    slot = token_slots(table, token, inside, BLOCK_TOKENS)
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    # Past a sequence's end a block has what others left there, and zero times NaN is NaN.
    values = tl.load(kv_ptr + slot[:, None] * WIDTH + column, mask=inside[:, None], other=0.0)
    row = tile.to(tl.int64) * TOKENS + tl.arange(0, TOKENS)
    if values.dtype == tl.float8e4nv:
        values = values.to(tl.float16)  # exact, as it is from there
    tl.store(out_ptr + row[:, None] * WIDTH + column, values.to(out_ptr.dtype.element_ty))


@dataclass(frozen=True, slots=True)
class GatheredKeys:
    """Scratch memory `[tokens, 2, kv_heads, head_dim]` that all layers share, one after the other.

    `tile` is that of attention over it, of `KEY_TILE` keys at most: a longer one would reach into
    the next sequence.
    """

    scratch: Tensor
    tile: PrefillTile

    @classmethod
    def of(
        cls,
        context_tokens: int,
        token_budget: int,
        heads: int,
        kv_heads: int,
        head_dim: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> "GatheredKeys | None":
        """The scratch for queries of `dtype`; `None` where the kernel is not for them."""
        tile = gathered_tile(head_dim, heads // kv_heads, dtype.itemsize, gpu_limits(device))
        if tile is None:
            return None
        tokens = scratch_tokens(context_tokens, token_budget, kv_heads, head_dim)
        scratch = torch.empty(tokens, 2, kv_heads, head_dim, dtype=dtype, device=device)
        return cls(scratch, tile)

    @property
    def tokens(self) -> int:
        return self.scratch.shape[0]

    @property
    def key_tiles(self) -> int:
        """The most tiles of keys that a step gathers."""
        return self.tokens // KEY_TILE

    def descriptor(self) -> TensorDescriptor:
        """By which a tile's keys, or values, of one head are brought.

        Raises ValueError where no descriptor can be made: the rows of a head are not aligned.
        """
        described = tile_descriptor(self.scratch.flatten(1), self.tile.keys, self.scratch.shape[3])
        if described is None:
            raise ValueError(f"rows of {tuple(self.scratch.shape)} are not aligned for a copy")
        return described

    def gather(
        self,
        kv_blocks: Tensor,
        block_table: Tensor,
        seq_lens: Tensor,
        query_starts: Tensor,
        key_tiles: Tensor,
        key_starts: Tensor,
        window: int = 0,
    ) -> None:
        """Copy the keys and values that the chunks see, in the dtype of the scratch.

        `key_tiles` `[key_tiles]` and `key_starts` `[sequences]` are those of `PrefillTiles`; a
        sequence of -1 is padding. The others are those of `prefill_attention`.
        """
        block_tokens, _, kv_heads, head_dim = kv_blocks.shape[1:]
        _gather_kernel[(2 * kv_heads, key_tiles.shape[0])](
            kv_blocks,
            self.scratch,
            block_table,
            seq_lens,
            query_starts,
            key_tiles,
            key_starts,
            block_table.stride(0),
            WIDTH=2 * kv_heads * head_dim,
            BLOCK_TOKENS=block_tokens,
            WINDOW=window,
            TOKENS=KEY_TILE,
            COLUMNS=head_dim,
            num_warps=4,
        )
