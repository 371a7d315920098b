"""Speculative decoding as a setting of the engine: what guesses, how many drafts a step checks, and
whether they pay.

Drafts are guesses of a request's next tokens, computed together with its newest one (Leviathan et
al. 2023; Chen et al. 2023): a step that reads all weights for one token checks a few guesses for
little more. Each row is sampled with the noise of its own position, which depends on nothing else
(see `sampler`). A draft is accepted where it equals what was sampled, so the output is token for
token what it would have been without.
"""

from collections.abc import Sequence
from typing import Protocol

from ..metrics.drafting_pace import DraftingPace
from ..protocol import SpeculationSpec
from ..protocol.errors import BadInputError
from .blocks import BlockManager
from .ngram_drafter import NgramDrafter
from .request import Request
from .step_plan import Chunk, DraftPlanner

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

        A request whose rows need more than a choice of tokens gets none: what it needs of a row
        hangs on the tokens before. Drafts take what is left: of the budget, and of the blocks all
        but one for each row, so that no request is preempted for a guess.
        """
        asked: list[Chunk] = []
        rooms: list[int] = []
        for chunk in chunks:
            if chunk.num_tokens == 1 and chunk.request.plain and _is_newest(chunk):
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

    Returns how many more fit. Blocks that no accepted draft comes to fill stay with the request,
    which grows into them.
    """
    wanted = blocks.blocks_for(request.num_tokens + room)
    while len(request.block_ids) < wanted and blocks.available > keep:
        blocks.append_block(request)
    return len(request.block_ids) * blocks.block_tokens - request.num_tokens


class Speculation:
    """One spec at work; `None` for no drafts. `drafter` is the draft model, if there is one.

    Raises `BadInputError` where the spec wants it and there is none.
    """

    def __init__(self, spec: SpeculationSpec | None, drafter: Drafter | None = None) -> None:
        self.spec = spec
        self._drafter: Drafter | None = None
        self._plan: DraftPlanner | None = None
        if spec is not None:
            if spec.draft_model is None:
                drafter = NgramDrafter(spec.ngram_shortest, spec.ngram_longest)
            if drafter is None:
                raise BadInputError("no draft model is loaded: start with --draft-model")
            self._drafter = drafter
            self._plan = Drafting(drafter, spec.drafts).extend
        self.pace = DraftingPace(adaptive=spec is not None and spec.adaptive)
        self._last_end_s: float | None = None

    @property
    def planner(self) -> DraftPlanner | None:
        """What plans the drafts of the next step; `None` where it has none."""
        return self._plan if self.pace.drafting else None

    def forget(self, request_id: int) -> None:
        """A request has ended."""
        if self._drafter is not None:
            self._drafter.forget(request_id)

    def on_switch(self) -> None:
        """Steps are not what they were: what was measured of them holds no more."""
        self.pace.reset()

    def on_pause(self) -> None:
        """There was nothing to compute."""
        self._last_end_s = None

    def on_step(
        self, drafting: bool, chunks: Sequence[Chunk], generated: int, now_s: float
    ) -> None:
        """A step ended that was planned with or without `drafting`, and gave so many tokens.

        Its time is that since the step before. Only steps of nothing but decodes are compared.
        """
        if self.spec is None:
            return
        duration_s = None if self._last_end_s is None else now_s - self._last_end_s
        self._last_end_s = now_s
        if any(chunk.ghost or chunk.num_tokens > 1 + len(chunk.drafts) for chunk in chunks):
            duration_s = None
        self.pace.on_step(
            drafting=drafting, rows=len(chunks), tokens=generated, duration_s=duration_s
        )
