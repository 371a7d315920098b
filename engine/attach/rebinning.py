"""A foreign histogram's buckets as counts in the edges that the screen draws distributions with."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

from ..protocol import LATENCY_EDGES_MS
from .kept_scrapes import Spanned

_MOST_AT_ONCE = 1e9
"""Values that one scrape adds to a bucket: counts stay within what a message holds."""


class Rebinned:
    """Counts by `LATENCY_EDGES_MS`, which only grow.

    Within a bucket values are taken to lie evenly, so that it is spread over the edges that it
    covers; fractions are carried on, and what was counted is counted once.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_EDGES_MS) + 1)
        self._bounds: tuple[float, ...] = ()
        self._owed: list[list[float]] = []
        """By bucket, what each entry that it covers should have got and has not yet."""

    def add(self, spanned: Spanned, unit_ms: float) -> None:
        """Add what has come into a histogram since the last call."""
        if not spanned.bounds or spanned.values < 0.5:
            return
        below = list(accumulate(spanned.below, max))
        shares = _spread(tuple(bound * unit_ms for bound in spanned.bounds))
        if spanned.bounds != self._bounds:
            self._bounds = spanned.bounds
            self._owed = [[0.0] * len(covered) for covered in shares]
        held = [below[0], *(b - a for a, b in pairwise(below))]
        held.append(max(0.0, spanned.values - below[-1]))
        for count, covered, owed in zip(held, shares, self._owed, strict=True):
            if count > 0:
                self._assign(min(count, _MOST_AT_ONCE), covered, owed)

    def _assign(
        self, count: float, covered: Sequence[tuple[int, float]], owed: list[float]
    ) -> None:
        """Give `count` values to the entries that a bucket covers, whole ones by their shares,
        then one each where most is owed."""
        for place, (_, part) in enumerate(covered):
            owed[place] += count * part
        left = int(sum(owed) + 1e-6)
        given = [min(left, max(0, int(amount))) for amount in owed]
        left = max(0, left - sum(given))
        neediest = sorted(range(len(owed)), key=lambda place: given[place] - owed[place])
        for place in neediest[:left]:
            given[place] += 1
        for place, ((entry, _), times) in enumerate(zip(covered, given, strict=True)):
            owed[place] -= times
            self.counts[entry] += times


@lru_cache(64)
def _spread(bounds_ms: tuple[float, ...]) -> tuple[tuple[tuple[int, float], ...], ...]:
    """For each bucket, and for what is above the last bound, the entries that it covers and how
    much of it falls into each; the shares of a bucket add up to 1."""
    spreads = []
    for low, high in zip((0.0, *bounds_ms), bounds_ms, strict=False):
        first, last = bisect_right(LATENCY_EDGES_MS, low), bisect_right(LATENCY_EDGES_MS, high)
        edges = [low, *LATENCY_EDGES_MS[first:last], high]
        parts = []
        for step, (start, end) in enumerate(pairwise(edges)):
            if end > start:
                parts.append((first + step, (end - start) / (high - low)))
        spreads.append(tuple(parts) or ((first, 1.0),))
    spreads.append(((bisect_right(LATENCY_EDGES_MS, bounds_ms[-1]), 1.0),))
    return tuple(spreads)
