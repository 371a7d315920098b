"""The paged KV cache as kernels see it: where a token lies, how a tile is loaded, what is stored.

One layer's cache is `[blocks, block_tokens, 2, kv_heads, head_dim]`. A slot is a token's place in
it, counted over all blocks: the keys of all KV heads, then their values.
"""

import triton
import triton.language as tl


@triton.jit
def token_slots(table, token, inside, BLOCK_TOKENS: tl.constexpr):
    """The int64 slots of a sequence's tokens by its block table; block 0's where not `inside`."""
    index = token.to(tl.uint32)  # Unsigned, so that division is a shift.
    block = tl.load(table + index // BLOCK_TOKENS, mask=inside, other=0)
    return (block * BLOCK_TOKENS + (index % BLOCK_TOKENS).to(tl.int32)).to(tl.int64)


@triton.jit
def load_kv_tile(
    kv_ptrs, slot, seen, in_head, KV_STRIDE: tl.constexpr, MASKED: tl.constexpr
):  # fmt: skip
    """Keys and values `[tokens, head_dim]` of the slots; fp8 is widened to fp16.

    With `MASKED` zeros for tokens that are not `seen` and columns not `in_head` `[1, head_dim]`:
    what a block holds past a sequence's end belongs to another one, and may be NaN: never loaded.
    """
    k_ptrs = kv_ptrs + slot[:, None] * (2 * KV_STRIDE)
    if MASKED:
        keep = seen[:, None] & in_head
        k = tl.load(k_ptrs, mask=keep, other=0.0)
        v = tl.load(k_ptrs + KV_STRIDE, mask=keep, other=0.0)
    else:
        k = tl.load(k_ptrs)
        v = tl.load(k_ptrs + KV_STRIDE)
    if k.dtype == tl.float8e4nv:
        k, v = k.to(tl.float16), v.to(tl.float16)
    return k, v


@triton.jit
def for_tile(q, kv_dtype: tl.constexpr):
    """Queries in the dtype that `load_kv_tile` gives keys of `kv_dtype`."""
    if kv_dtype == tl.float8e4nv:
        q = tl.clamp(q.to(tl.float32), -65504.0, 65504.0).to(tl.float16)
    return q


@triton.jit
def to_cache_dtype(x, dtype: tl.constexpr):
    """Keys or values (fp32) as the cache stores them: narrow dtypes saturate, and NaN becomes 0.

    A block keeps what its last owner wrote: NaN and infinity must not outlive their sequence.
    """
    if dtype == tl.float8e4nv:
        x = tl.where(x == x, tl.minimum(tl.maximum(x, -448.0), 448.0), 0.0)
    elif dtype == tl.float16:
        x = tl.where(x == x, tl.minimum(tl.maximum(x, -65504.0), 65504.0), 0.0)
    return x.to(dtype)
