"""What the KV cache, the prefix cache and the response cache hold and save."""

from .message import Part
from .spans import Window


class Blocks(Part, frozen=True, kw_only=True):
    """KV blocks by what holds them; the three parts add up to `total`."""

    total: int
    running: int
    """Held by at least one running request."""
    evictable: int
    """Cached prefix blocks that no running request holds."""
    free: int
    block_tokens: int


class HitRates(Part, frozen=True, kw_only=True):
    """Hits over lookups; `None` where nothing was looked up or the strategy has no such cache."""

    response: float | None = None
    prefix: float | None = None
    """Hit tokens over queried prompt tokens."""


class Cache(Part, frozen=True, kw_only=True):
    """The state of the KV cache, the prefix cache and the response cache."""

    blocks: Blocks
    rates: dict[Window, HitRates]
    response_entries: int | None = None
    response_bytes: int | None = None
    response_limit_bytes: int | None = None
    note: str | None = None
    """Why a rate is what it is, when that is not obvious (a prefix shorter than one block)."""
