"""Speculative decoding as a setting of the engine: what guesses, when, and what came of it."""

from collections.abc import Sequence

from ..metrics.drafting_pace import DraftingPace
from ..protocol import SpeculationSpec
from ..protocol.errors import BadInputError
from .drafting import Drafter, Drafting
from .ngram_drafter import NgramDrafter
from .step_plan import Chunk, DraftPlanner


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
