"""What the next step computes: the scheduler's output and the runners' input."""

from collections.abc import Callable

import msgspec

from ..protocol import Refusal
from .blocks import BlockManager
from .request import Request


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """Tokens `start … start + num_tokens` of one request, to be computed in this step.

    `samples`: it ends at the request's newest token, so that its output is a token. A ghost is the
    row of a finished sequence in a gang: it computes the newest token that the sequence had
    computed once more, at its old position, and its output is dropped. `drafts` are guesses of the
    tokens that follow the newest: they are the last of its `num_tokens`, and a token is sampled
    after each of them too.
    """

    request: Request
    num_tokens: int
    start: int
    ghost: bool = False
    samples: bool = True
    drafts: tuple[int, ...] = ()

    def token_ids(self) -> list[int]:
        """The tokens to compute, the drafts last."""
        end = self.start + self.num_tokens - len(self.drafts)
        return [*self.request.tokens[self.start : end], *self.drafts]

    def keeping(self, drafts: int) -> "Chunk":
        """The chunk with the first `drafts` of its drafts alone."""
        if len(self.drafts) == drafts:
            return self
        num_tokens = self.num_tokens - len(self.drafts) + drafts
        return Chunk(self.request, num_tokens, self.start, drafts=self.drafts[:drafts])


class StepPlan(msgspec.Struct, frozen=True):
    """One step: rows of one token first (decode, then ghosts), then the longer chunks.

    `preempted` lost their blocks to older requests and wait again, at the head of the queue.
    `num_drafts` are those of all chunks together. `refusal` is why the next of the requests that
    still wait was left waiting; `None` where none waits.
    """

    chunks: tuple[Chunk, ...]
    preempted: tuple[Request, ...] = ()
    num_drafts: int = 0
    refusal: Refusal | None = None

    @property
    def num_drafting(self) -> int:
        """Chunks with drafts."""
        return sum(1 for chunk in self.chunks if chunk.drafts)


DraftPlanner = Callable[[list[Chunk], BlockManager, int], list[Chunk]]
"""From a step's chunks, the blocks and what is left of the token budget to the same chunks, some of
them with drafts (`Drafting.extend`)."""
