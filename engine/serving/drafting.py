"""Drafts for a step: guesses of a request's next tokens, computed together with its newest one.

Speculative decoding (Leviathan et al. 2023; Chen et al. 2023): a step that reads all weights for
one token checks a few guesses for little more. Each row is sampled with the noise of its own
position, which depends on nothing else (see `sampler`). A guess is right where it is what was
sampled, so the output is token for token what it would have been without.
"""

from collections.abc import Sequence
from typing import Protocol

from .blocks import BlockManager
from .request import Request
from .step_plan import Chunk

MOST_DRAFTS = 256
"""Of all requests in one step: with more rows than this, a step no longer costs the same."""


class Drafter(Protocol):
    """Something that guesses how texts go on."""

    def propose(self, requests: Sequence[Request], most: Sequence[int]) -> list[Sequence[int]]:
        """The next tokens of each request, as it guesses: none, or up to `most` of each.

        The requests hold KV blocks for their tokens and that many more.
        """
        ...

    def forget(self, request_id: int) -> None:
        """A request has ended."""
        ...


class Drafting:
    """Gives up to `drafts` guesses to each request that lacks one token."""

    def __init__(self, drafter: Drafter, drafts: int) -> None:
        self._drafter = drafter
        self._drafts = drafts

    def extend(self, chunks: list[Chunk], blocks: BlockManager, budget: int) -> list[Chunk]:
        """The chunks of a step, those with drafts last: `DraftPlanner`.

        Drafts take what is left: of the budget, and of the blocks all but one for each row, so that
        no request is preempted for a guess.
        """
        asked: list[Chunk] = []
        rooms: list[int] = []
        for chunk in chunks:
            if chunk.num_tokens == 1 and _is_newest(chunk):
                room = min(self._drafts, budget, chunk.request.longest - chunk.start - 2)
                room = min(room, _reserve(chunk.request, room, blocks, keep=len(chunks)))
                if room > 0:
                    asked.append(chunk)
                    rooms.append(room)
        if not asked:
            return chunks
        proposals = self._drafter.propose([chunk.request for chunk in asked], rooms)
        left = min(budget, MOST_DRAFTS)
        drafted: dict[int, Chunk] = {}
        for chunk, proposal in zip(asked, proposals, strict=True):
            drafts = tuple(proposal[:left])
            if drafts:
                left -= len(drafts)
                rows = 1 + len(drafts)
                drafted[id(chunk)] = Chunk(chunk.request, rows, chunk.start, drafts=drafts)
        return [*(chunk for chunk in chunks if id(chunk) not in drafted), *drafted.values()]


def _is_newest(chunk: Chunk) -> bool:
    """Whether a chunk ends with the newest token of its request, which is known."""
    return chunk.samples and chunk.start + chunk.num_tokens == len(chunk.request.tokens)


def _reserve(request: Request, room: int, blocks: BlockManager, keep: int) -> int:
    """Give a request blocks for `room` more tokens, while more than `keep` are there.

    Returns how many more fit. Blocks that no right guess comes to fill stay with the request, which
    grows into them.
    """
    wanted = blocks.blocks_for(request.num_tokens + room)
    while len(request.block_ids) < wanted and blocks.available > keep:
        blocks.append_block(request)
    return len(request.block_ids) * blocks.block_tokens - request.num_tokens
