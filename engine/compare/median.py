"""The median of repeats with an interval that assumes no distribution, and differences by it.

The ends are order statistics. Of n independent values the one of rank k and the one of rank
n + 1 − k enclose the median with probability 1 − 2·P(B < k), B binomial(n, 1/2), whatever the
distribution (David and Nagaraja, Order Statistics, 2003, section 7.1). The interval is the
narrowest of these that reaches `CONFIDENCE`. With fewer than six values none does: then it spans
all of them, says its own lower confidence, and decides nothing.
"""

import math
from collections.abc import Sequence
from enum import Enum

import msgspec

CONFIDENCE = 0.95
"""Of an interval that decides whether there is a difference: the usual level of the field."""


class Median(msgspec.Struct, frozen=True, kw_only=True):
    """The median of `count` values, and an interval that holds the true one with `confidence`."""

    value: float
    low: float
    high: float
    confidence: float
    count: int

    @property
    def decisive(self) -> bool:
        """Whether the interval reaches `CONFIDENCE`."""
        return self.confidence >= CONFIDENCE

    @property
    def spread(self) -> float | None:
        """The larger half of the interval over the median; `None` for a median of 0."""
        half = max(self.high - self.value, self.value - self.low)
        return half / abs(self.value) if self.value else None


class Verdict(Enum):
    """What two medians say of each other."""

    LOWER = "lower"
    HIGHER = "higher"
    NO_DIFFERENCE = "no difference measured"
    """The intervals touch."""
    UNDECIDED = "too few repeats"
    """An interval does not reach `CONFIDENCE`."""


def median(values: Sequence[float]) -> Median | None:
    """The median of the finite values and its interval; `None` where there are none.

    Ratios of figures from a file may be too large to be finite: they count as not measured.
    """
    ordered = sorted(value for value in values if math.isfinite(value))
    count = len(ordered)
    if not ordered:
        return None
    rank, confidence = _rank(count)
    below, above = ordered[(count - 1) // 2], ordered[count // 2]
    return Median(
        # Halves first: the sum may overflow. They may round, but not past both.
        value=min(max(below / 2 + above / 2, below), above),
        low=ordered[rank - 1],
        high=ordered[count - rank],
        confidence=confidence,
        count=count,
    )


def _rank(count: int) -> tuple[int, float]:
    """The largest rank whose interval reaches `CONFIDENCE`, else 1; and its confidence."""
    rank, outside = 1, 2.0 ** (1 - count)
    term = 2.0**-count
    while rank < (count + 1) // 2:
        term *= (count - rank + 1) / rank
        if 1 - (outside + 2 * term) < CONFIDENCE:
            break
        outside += 2 * term
        rank += 1
    return rank, 1 - outside


def least_repeats() -> int:
    """The fewest repeats whose interval reaches `CONFIDENCE`: six for 95 %."""
    count = 1
    while _rank(count)[1] < CONFIDENCE:
        count += 1
    return count


def compare(first: Median, second: Median) -> Verdict:
    """Where `first` lies from `second`: a difference only where the intervals do not touch.

    That is stricter than a test of the difference at the same level: it misses small differences
    rather than to find some that are not there.
    """
    if not (first.decisive and second.decisive):
        return Verdict.UNDECIDED
    if first.high < second.low:
        return Verdict.LOWER
    if first.low > second.high:
        return Verdict.HIGHER
    return Verdict.NO_DIFFERENCE
