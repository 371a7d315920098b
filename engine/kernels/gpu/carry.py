"""The input tokens of a step, where some of them are what the step before has sampled."""

import triton
import triton.language as tl
from torch import Tensor

_ROWS = 256


@triton.jit(do_not_specialize=["tokens_ptr", "carried_ptr", "rows"])
def _carry_kernel(tokens_ptr, carried_ptr, sampled_ptr, rows, ROWS: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    inside = row < rows
    carried = tl.load(carried_ptr + row, mask=inside, other=-1)
    sampled = tl.load(sampled_ptr + carried, mask=inside & (carried >= 0), other=0)
    # A row that broke has no token: whatever follows is not read.
    sampled = tl.maximum(sampled, 0)
    known = tl.load(tokens_ptr + row, mask=inside, other=0)
    tl.store(tokens_ptr + row, tl.where(carried >= 0, sampled.to(tl.int32), known), mask=inside)


def carry_tokens(tokens: Tensor, carried: Tensor, sampled: Tensor) -> Tensor:
    """Put `sampled[carried]` into `tokens` wherever `carried` is not -1, in place.

    `tokens` and `carried` are int32 `[rows]`, `sampled` any integer. The host launches a step
    before it has read the tokens of the one before: they never leave the device on their way.
    """
    rows = tokens.shape[0]
    _carry_kernel[(triton.cdiv(rows, _ROWS),)](tokens, carried, sampled, rows, ROWS=_ROWS)
    return tokens
