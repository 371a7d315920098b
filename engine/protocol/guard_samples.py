"""What the server tells the screen of its guards and of the review queue."""

from .message import Part


class FalsePositives(Part, frozen=True, kw_only=True):
    """Of the benign texts that a guard judged, those in which it found something."""

    found: int
    texts: int

    @property
    def share(self) -> float | None:
        """`None` where it judged none."""
        return self.found / self.texts if self.texts else None


class GuardSample(Part, frozen=True, kw_only=True):
    """What one guard has done since the server's start.

    Each text is counted once, by the strongest thing that was done to it: `texts` are all,
    the rest of `flagged`, `redacted` and `blocked` passed. `failures` are texts at which the guard
    itself failed. `added_*_ms` is how long a text waited for it, over all of its pieces; `None`
    before there was one. `false_positives` `None`: not measured, or not yet.
    """

    texts: int
    flagged: int
    redacted: int
    blocked: int
    failures: int
    added_p50_ms: float | None
    added_p99_ms: float | None
    false_positives: FalsePositives | None = None


class ReviewSample(Part, frozen=True, kw_only=True):
    """The review queue. `undecided`, `held`, `accepted` and `rejected` are the items in its file
    now, whichever server put them there; `None` where it cannot be read.

    Since the server's start: `noted` answers and prompts went out and were put in; held ones were
    `released` (of them `corrected` with another text), `refused`, `timed_out` or `abandoned` by
    their client; `full` found no room, `failures` an unusable file. `held_s` is the time that held
    ones have waited, in all.
    """

    undecided: int | None = None
    held: int | None = None
    accepted: int | None = None
    rejected: int | None = None
    noted: int = 0
    released: int = 0
    corrected: int = 0
    refused: int = 0
    timed_out: int = 0
    abandoned: int = 0
    full: int = 0
    failures: int = 0
    held_s: float = 0.0
