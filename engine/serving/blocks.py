"""Paged KV blocks: which requests hold them, and which are cached prefixes.

A block is *running* while at least one request holds it, *evictable* when nobody does but its
content can still be found by its hash, and *free* otherwise. The scheme (chained content hashes
over full blocks, reference counts, least recently used eviction) is that of vLLM's prefix caching.
"""

from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from .request import Request


@dataclass(frozen=True, slots=True)
class BlockCounts:
    """Blocks by state: `running + evictable + free == total`."""

    total: int
    running: int
    evictable: int
    free: int


@dataclass(slots=True)
class PrefixStats:
    """What the prefix cache was asked since the start, in requests and in prompt tokens.

    A request counts once, when it is first admitted. One that comes back after a preemption
    finds its own blocks again: that is no hit.
    """

    lookups: int = 0
    queried_tokens: int = 0
    hit_tokens: int = 0
    misses: int = 0
    short_misses: int = 0
    """Misses of prompts that are too short to fill a block before their last token."""


def extend_hashes(
    hashes: list[bytes], tokens: Sequence[int], block_tokens: int, blocks: int
) -> None:
    """Append to `hashes` until it covers the first `blocks` blocks of `tokens`.

    A block's hash is taken over its parent's hash and its own tokens, so it stands for the whole
    sequence up to its end. With 128 bits of BLAKE2b, equal hashes mean equal sequences.
    """
    while len(hashes) < blocks:
        start = len(hashes) * block_tokens
        parent = hashes[-1] if hashes else b""
        content = array("I", tokens[start : start + block_tokens]).tobytes()
        hashes.append(blake2b(parent + content, digest_size=16).digest())


class BlockManager:
    """Hands out KV blocks of `block_tokens` tokens. Every operation is O(1) per block.

    Raises ValueError unless there is at least one block of at least one token.

    A block is found by its content only after `register`, which is for blocks whose keys and
    values were really written. When two requests compute the same content at once, the first to
    register is found from then on, and the other's block stays private.
    """

    def __init__(self, num_blocks: int, block_tokens: int, *, prefix_caching: bool) -> None:
        if num_blocks < 1 or block_tokens < 1:
            raise ValueError("a block manager needs at least one block of at least one token")
        self.num_blocks = num_blocks
        self.block_tokens = block_tokens
        self.prefix_stats = PrefixStats()
        self._prefix_caching = prefix_caching
        self._references = [0] * num_blocks
        self._free = list(range(num_blocks - 1, -1, -1))
        self._evictable: OrderedDict[int, None] = OrderedDict()
        self._block_of: dict[bytes, int] = {}
        self._hash_of: list[bytes | None] = [None] * num_blocks

    @property
    def available(self) -> int:
        """Blocks that can be handed out, those with evictable content included."""
        return len(self._free) + len(self._evictable)

    def counts(self) -> BlockCounts:
        """The blocks by state, now."""
        return BlockCounts(
            total=self.num_blocks,
            running=self.num_blocks - self.available,
            evictable=len(self._evictable),
            free=len(self._free),
        )

    def references(self, block_id: int) -> int:
        """How many requests hold this block: its reference count."""
        return self._references[block_id]

    def blocks_for(self, num_tokens: int) -> int:
        """How many blocks hold `num_tokens` tokens."""
        return -(-num_tokens // self.block_tokens)

    def match(self, tokens: Sequence[int], hashes: list[bytes] | None = None) -> list[int]:
        """The blocks of the longest cached prefix of `tokens`.

        Full blocks only, and never the last token: logits come from computing at least one.
        `hashes` are those of its first blocks that were computed before; they are extended.
        """
        cached: list[int] = []
        if not self._prefix_caching:
            return cached
        hashes = [] if hashes is None else hashes
        for index in range((len(tokens) - 1) // self.block_tokens):
            extend_hashes(hashes, tokens, self.block_tokens, index + 1)
            block_id = self._block_of.get(hashes[index])
            if block_id is None:
                break
            cached.append(block_id)
        return cached

    def allocate(self, request: Request) -> bool:
        """Give `request` blocks for all its tokens, those of a cached prefix first.

        Sets `block_ids` and `num_computed` (the tokens of the cached prefix). Returns False, and
        changes nothing, when there are not enough blocks.
        """
        # Of cached positions there are no logits.
        searched = self._prefix_caching and request.prompt_logprobs is None
        cached = self.match(request.tokens, request.block_hashes) if searched else []
        fresh = self.blocks_for(request.num_tokens) - len(cached)
        revived = sum(1 for block_id in cached if not self._references[block_id])
        if fresh + revived > self.available:
            return False
        for block_id in cached:
            self._share(block_id)
        request.block_ids.extend(cached)
        request.block_ids.extend(self._take() for _ in range(fresh))
        request.num_computed = len(cached) * self.block_tokens
        if searched and not request.preemptions:
            self._count_lookup(request)
        return True

    def append_block(self, request: Request) -> bool:
        """Give `request` one more block; False, and no change, when there is none."""
        if not self.available:
            return False
        request.block_ids.append(self._take())
        return True

    def register(
        self, request: Request, computed_before: int = 0, computed: int | None = None
    ) -> None:
        """Make the blocks findable that were filled since `computed_before` tokens were computed.

        `computed` tokens are now, all that the request knows of if it is not given. Does nothing
        without prefix caching.
        """
        first = computed_before // self.block_tokens
        last = (request.num_computed if computed is None else computed) // self.block_tokens
        if first == last or not self._prefix_caching:
            return
        hashes = request.block_hashes
        extend_hashes(hashes, request.tokens, self.block_tokens, last)
        for index in range(first, last):
            if hashes[index] not in self._block_of:
                block_id = request.block_ids[index]
                self._block_of[hashes[index]] = block_id
                self._hash_of[block_id] = hashes[index]

    def release(self, request: Request) -> None:
        """Take back all blocks of `request`; findable content stays until it is evicted.

        Last block first: a sequence is then evicted from its end, and what is left can be used.
        """
        for block_id in reversed(request.block_ids):
            self._references[block_id] -= 1
            if self._references[block_id]:
                continue
            if self._hash_of[block_id] is None:
                self._free.append(block_id)
            else:
                self._evictable[block_id] = None
        request.block_ids.clear()

    def set_prefix_caching(self, enabled: bool) -> None:
        """Switch prefix caching. Switched off, everything findable is forgotten.

        After switching on, the blocks of running requests can be registered: their content is
        there.
        """
        if self._prefix_caching and not enabled:
            self._forget()
        self._prefix_caching = enabled

    def drop_cached(self) -> None:
        """Forget all cached content, because it is no longer what would be computed.

        Raises RuntimeError while a request holds blocks: it would go on from stale content.
        """
        if self.available != self.num_blocks:
            raise RuntimeError("preempt all requests before the cached content is dropped")
        self._forget()

    def _share(self, block_id: int) -> None:
        if not self._references[block_id]:
            del self._evictable[block_id]
        self._references[block_id] += 1

    def _take(self) -> int:
        """A block of one's own: a free one, or the least recently used evictable one."""
        block_id = self._free.pop() if self._free else self._evict()
        self._references[block_id] = 1
        return block_id

    def _evict(self) -> int:
        block_id, _ = self._evictable.popitem(last=False)
        content = self._hash_of[block_id]
        assert content is not None
        del self._block_of[content]
        self._hash_of[block_id] = None
        return block_id

    def _forget(self) -> None:
        self._free.extend(self._evictable)
        self._evictable.clear()
        self._block_of.clear()
        self._hash_of = [None] * self.num_blocks

    def _count_lookup(self, request: Request) -> None:
        stats = self.prefix_stats
        request.cached_prompt_tokens = request.num_computed
        stats.lookups += 1
        stats.queried_tokens += request.num_tokens
        stats.hit_tokens += request.num_computed
        if not request.num_computed:
            stats.misses += 1
            stats.short_misses += request.num_tokens <= self.block_tokens
