"""The scrapes of the last minutes, as totals that only grow: what windows are differences of.

Memory is bounded, as many servers may be watched: the last scrapes are kept as they come, older
ones in steps (`TIERS`), up to a little over five minutes; beside them the first scrape of all.
"""

import math
from array import array
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ..protocol import WINDOW_SECONDS, Window
from .increases import Increases
from .mapping.source import Metric, Spread

TIERS: Final = (
    (2 * WINDOW_SECONDS[Window.S10], 0.4),
    (WINDOW_SECONDS[Window.M1] + 5.0, 2.5),
    (WINDOW_SECONDS[Window.M5] + 15.0, 10.0),
)
"""Up to which age scrapes are kept, and how far apart at least: a window may be so much longer."""
LONGEST_GAP_S: Final = 12.0
"""A window whose scrapes are further apart than it is long is still told up to this."""
_STRETCH = 1.5
"""How much longer than asked for a window may be, since scrapes do not come at its start."""


class Spanned(NamedTuple):
    """The increase of a histogram over a window, of its buckets up to each of `bounds`."""

    values: float
    total: float
    bounds: tuple[float, ...]
    below: list[float]


@dataclass(frozen=True, slots=True)
class Kept:
    """The totals at one scrape. `ran_s`: time in which requests ran, since the first scrape;
    `in_system`: requests that ran or waited, `None` where not both are told."""

    at_s: float
    counters: "array[float]"
    histograms: tuple[tuple[tuple[float, ...], "array[float]"], ...]
    ran_s: float
    in_system: float | None


@dataclass(frozen=True, slots=True)
class Between:
    """The increases between two scrapes."""

    start: Kept
    end: Kept
    _counters: Mapping[Metric, int]
    _histograms: Mapping[Spread, int]

    @property
    def span_s(self) -> float:
        return self.end.at_s - self.start.at_s

    @property
    def ran_s(self) -> float:
        """Time in which requests ran."""
        return self.end.ran_s - self.start.ran_s

    @property
    def more_in_system(self) -> float | None:
        """By how much the requests in the system became more."""
        before, after = self.start.in_system, self.end.in_system
        return None if before is None or after is None else after - before

    def counter(self, metric: Metric) -> float:
        """By how much a counter grew."""
        place = self._counters[metric]
        return self.end.counters[place] - self.start.counters[place]

    def histogram(self, source: Spread) -> Spanned:
        """What came into a histogram; without buckets where these were others at the start."""
        place = self._histograms[source]
        (old_bounds, old), (bounds, new) = self.start.histograms[place], self.end.histograms[place]
        values, total = new[0] - old[0], new[1] - old[1]
        if not old_bounds:
            return Spanned(values, total, bounds, list(new[2:]))
        if old_bounds != bounds:
            return Spanned(values, total, (), [])
        return Spanned(
            values, total, bounds, [b - a for a, b in zip(old[2:], new[2:], strict=True)]
        )


@dataclass
class KeptScrapes:
    """The scrapes that are kept of one table's counters and histograms."""

    increases: Increases
    first: Kept | None = None
    newest: Kept | None = None
    tiers: tuple[deque[Kept], ...] = field(default_factory=lambda: tuple(deque() for _ in TIERS))
    """Without the newest scrape; each in the order of time."""

    def __post_init__(self) -> None:
        self._counters = {each: place for place, each in enumerate(self.increases.counters)}
        self._histograms = {each: place for place, each in enumerate(self.increases.histograms)}

    def add(self, at_s: float, ran_s: float, in_system: float | None) -> Between | None:
        """Keep the totals as they are after the scrape of `at_s`; what came since the last one."""
        before = self.newest
        kept = Kept(
            at_s,
            array("d", (counter.total for counter in self.increases.counters.values())),
            tuple(
                (each.bounds, array("d", (each.count.total, each.total.total, *each.below())))
                for each in self.increases.histograms.values()
            ),
            ran_s,
            in_system,
        )
        if self.first is None:
            self.first = kept
        if before is not None:
            self._store(before, 0)
        self.newest = kept
        self._age(at_s)
        return None if before is None else self._between(before, kept)

    def _store(self, kept: Kept, number: int) -> None:
        """Keep a scrape in a tier, unless it comes too soon after the last one there."""
        if number < len(TIERS):
            tier, step_s = self.tiers[number], TIERS[number][1]
            if not tier or kept.at_s >= tier[-1].at_s + step_s:
                tier.append(kept)

    def _age(self, now_s: float) -> None:
        """Hand what is too old for a tier on to the next one."""
        for number, (tier, (span_s, _)) in enumerate(zip(self.tiers, TIERS, strict=True)):
            while tier and tier[0].at_s < now_s - span_s:
                self._store(tier.popleft(), number + 1)

    def _between(self, start: Kept, end: Kept) -> Between:
        return Between(start, end, self._counters, self._histograms)

    def over(self, span_s: float) -> Between | None:
        """The increases over the last `span_s` before the newest scrape, since the first one if
        that is less; `None` where there are no two scrapes that are about as far apart."""
        newest = self.newest
        if newest is None or self.first is None:
            return None
        start = self.first if math.isinf(span_s) else self._start(newest, span_s)
        if start is None or start.at_s >= newest.at_s:
            return None
        return self._between(start, newest)

    def _start(self, newest: Kept, span_s: float) -> Kept | None:
        target_s = newest.at_s - span_s
        after: Kept | None = None
        for tier in self.tiers:
            for kept in reversed(tier):
                if kept.at_s <= target_s:
                    near = newest.at_s - kept.at_s <= max(span_s * _STRETCH, LONGEST_GAP_S)
                    return kept if near else after
                after = kept
        return after
