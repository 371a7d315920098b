"""What a step begins with: its input's copy to the device, and its tokens' embeddings.

A row's token is known to the host, or is one that the step before has sampled: the host launches a
step before it has read those, and they never leave the device on their way.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .dependent_launch import let_next_in

_COLUMNS = 1024
"""Columns of the embedding that a program copies."""
_COPY_WORDS = 1024
"""Words of the input that a program copies."""
_MAX_KERNEL_WORDS = 2048
"""A kernel begins sooner behind another one than a copy does, whose engine waits to be told. Of
larger inputs, which are block tables for the most part, it makes serving slower all the same: at
0.6B 36,400 tokens/s instead of 38,500 with 64 requests, although it takes as long by itself."""


@triton.jit(do_not_specialize=["count"])
def _copy_kernel(source_ptr, words_ptr, count, WORDS: tl.constexpr):
    word = tl.program_id(0) * WORDS + tl.arange(0, WORDS)
    inside = word < count
    tl.store(words_ptr + word, tl.load(source_ptr + word, mask=inside), mask=inside)


def copy_step_input(source: Tensor, words: Tensor) -> None:
    """Copy `source`, int32 `[words]` in pinned memory of the host, to `words` on the device.

    In the stream's order: by a kernel where it is short, else by the copy engine.
    """
    count = words.shape[0]
    if count > _MAX_KERNEL_WORDS:
        words.copy_(source, non_blocking=True)
        return
    grid = (triton.cdiv(count, _COPY_WORDS),)
    _copy_kernel[grid](source, words, count, WORDS=_COPY_WORDS, num_warps=4)


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
