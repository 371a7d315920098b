"""The limits that an engine serves within."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Limits that hold under every strategy. `kv_blocks` are blocks of `BLOCK_TOKENS` tokens."""

    max_seqs: int
    token_budget: int
    kv_blocks: int
    context_tokens: int
    response_cache_bytes: int = 64 * 2**20
    response_ttl_s: float = 600.0
