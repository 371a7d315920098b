"""What each guard has done since the server began."""

from collections import Counter

from ...metrics.histogram import LogHistogram
from .findings import Outcome, Rule

ALL = "all"
"""Stands for all guards of text together: a text counts once, by the strongest of what they did."""


class GuardTally:
    """Counts of one guard: texts judged, hits, failures, and the latency it added to each text."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.texts = 0
        self.failures = 0
        self.hits: Counter[str] = Counter()
        """By rule."""
        self.outcomes: Counter[Outcome] = Counter()
        """Hits by what became of what was found."""
        self.added = LogHistogram()
        """Seconds that a text waited for this guard, over all of its pieces."""

    def add_text(self, spent_ns: int) -> None:
        """A text was judged, which took so long."""
        self.texts += 1
        self.added.add(spent_ns / 1e9)

    def add_hit(self, rule: Rule) -> None:
        """A rule has found something."""
        self.hits[rule.name] += 1
        self.outcomes[Outcome.of(rule.action)] += 1
