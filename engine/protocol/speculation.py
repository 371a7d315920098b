"""Speculative decoding: what is asked for, and whether it pays."""

from .message import Part


class SpeculationSpec(Part, frozen=True, kw_only=True):
    """Drafts of up to `drafts` tokens a step of each request, which change no output.

    They are what followed the last `ngram_longest` … `ngram_shortest` tokens when those came up
    before, or what `draft_model` says: the name of one that the engine was started with.
    `adaptive`: rest while they lose, and measure by turns whether they do.
    """

    drafts: int = 4
    draft_model: str | None = None
    ngram_shortest: int = 2
    ngram_longest: int = 4
    adaptive: bool = True


class Speculation(Part, frozen=True, kw_only=True):
    """What speculative decoding does, and whether it pays.

    `acceptance`: drafts that were right over drafts, in the last ten seconds. The other two are of
    the decode steps of the last trial: tokens that a sequence got in a step, 1 without drafts, and
    the time of a step over that of one of as many sequences without drafts.
    """

    spec: SpeculationSpec
    drafting: bool
    """Drafts are made now; else they rest, to compare or because they lose."""
    acceptance: float | None = None
    tokens_per_step: float | None = None
    step_ratio: float | None = None

    @property
    def speedup(self) -> float | None:
        """Tokens per second over those without drafts."""
        if self.tokens_per_step is None or not self.step_ratio:
            return None
        return self.tokens_per_step / self.step_ratio
