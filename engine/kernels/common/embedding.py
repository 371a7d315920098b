"""The hidden states that a step begins with: its tokens' embeddings.

A row's token is known to the host, or is one that the step before has sampled: the host launches a
step before it has read those, and they never leave the device on their way.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .dependent_launch import let_next_in

_COLUMNS = 1024


@triton.jit(do_not_specialize=["tokens_ptr", "carried_ptr"])
def _embed_kernel(
    tokens_ptr,
    carried_ptr,
    sampled_ptr,
    table_ptr,
    out_ptr,
    width,
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):
    row = tl.program_id(1)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    let_next_in(PDL)
    token = tl.load(tokens_ptr + row).to(tl.int64)
    carried = tl.load(carried_ptr + row)
    if carried >= 0:
        # A row that broke has no token: whatever follows is not read.
        token = tl.maximum(tl.load(sampled_ptr + carried).to(tl.int64), 0)
    x = tl.load(table_ptr + token * width + column, mask=inside, other=0.0)
    tl.store(out_ptr + row.to(tl.int64) * width + column, x, mask=inside)


def embed_tokens(
    tokens: Tensor, carried: Tensor, sampled: Tensor, table: Tensor, *, pdl: bool = False
) -> Tensor:
    """The rows of `table [vocabulary, width]` for the tokens of a step: `[rows, width]`.

    `tokens` and `carried` are int32 `[rows]`, `sampled` any integer: where `carried` is not -1 the
    token is `sampled[carried]`. With `pdl` the kernel after may take its place on the device while
    this one runs; it begins itself when all before it is done.
    """
    rows, width = tokens.shape[0], table.shape[1]
    out = torch.empty((rows, width), dtype=table.dtype, device=table.device)
    block = min(_COLUMNS, triton.next_power_of_2(width))
    _embed_kernel[(triton.cdiv(width, block), rows)](
        tokens, carried, sampled, table, out, width, BLOCK=block, PDL=pdl, num_warps=4
    )
    return out
