"""Where a sequence's tokens lie in the paged KV cache."""

import triton
import triton.language as tl


@triton.jit
def token_slots(table, token, inside, BLOCK_TOKENS: tl.constexpr):
    """The int64 cache slots of those tokens of a sequence that are `inside`, by its block table."""
    index = token.to(tl.uint32)  # Unsigned, so that division is a shift.
    block = tl.load(table + index // BLOCK_TOKENS, mask=inside, other=0)
    return (block * BLOCK_TOKENS + (index % BLOCK_TOKENS).to(tl.int32)).to(tl.int64)
