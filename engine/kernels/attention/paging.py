"""Where a sequence's tokens lie in the paged KV cache, and what it holds of them."""

import triton
import triton.language as tl


@triton.jit
def token_slots(table, token, inside, BLOCK_TOKENS: tl.constexpr):
    """The int64 cache slots of those tokens of a sequence that are `inside`, by its block table."""
    index = token.to(tl.uint32)  # Unsigned, so that division is a shift.
    block = tl.load(table + index // BLOCK_TOKENS, mask=inside, other=0)
    return (block * BLOCK_TOKENS + (index % BLOCK_TOKENS).to(tl.int32)).to(tl.int64)


@triton.jit
def as_stored(x, scale, CLEAN: tl.constexpr, FP8: tl.constexpr):
    """A key or value (fp32) as the cache may hold it, before its dtype rounds it.

    What overflowed or is NaN must not outlive its sequence in a block.
    """
    if FP8:
        x = x / scale
        x = tl.where(x == x, tl.minimum(tl.maximum(x, -448.0), 448.0), 0.0)
    elif CLEAN:
        x = tl.where(x == x, tl.minimum(tl.maximum(x, -65504.0), 65504.0), 0.0)
    return x
