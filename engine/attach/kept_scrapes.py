"""The scrapes of the last minutes, as totals that only grow: what windows are differences of.

Memory is bounded: the last 75 seconds are kept as they come, at most two a second, and before them
one of each five seconds, up to a little over five minutes; beside them the first scrape of all.
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

FINE_SPAN_S: Final = 75.0
COARSE_STEP_S: Final = 5.0
KEPT_SPAN_S: Final = WINDOW_SECONDS[Window.M5] + 2 * COARSE_STEP_S
LEAST_STEP_S: Final = 0.4
"""Scrapes that follow each other faster take each other's place."""
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
    recent: deque[Kept] = field(default_factory=deque)
    coarse: deque[Kept] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._counters = {each: place for place, each in enumerate(self.increases.counters)}
        self._histograms = {each: place for place, each in enumerate(self.increases.histograms)}

    @property
    def newest(self) -> Kept | None:
        return self.recent[-1] if self.recent else None

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
        if len(self.recent) > 1 and at_s - self.recent[-2].at_s < LEAST_STEP_S:
            self.recent.pop()
        self.recent.append(kept)
        while self.recent[0].at_s < at_s - FINE_SPAN_S:
            oldest = self.recent.popleft()
            if not self.coarse or oldest.at_s >= self.coarse[-1].at_s + COARSE_STEP_S:
                self.coarse.append(oldest)
        while self.coarse and self.coarse[0].at_s < at_s - KEPT_SPAN_S:
            self.coarse.popleft()
        return None if before is None else self._between(before, kept)

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
        for kept in (*reversed(self.recent), *reversed(self.coarse)):
            if kept.at_s <= target_s:
                near = newest.at_s - kept.at_s <= max(span_s * _STRETCH, LONGEST_GAP_S)
                return kept if near else after
            if kept.at_s < newest.at_s:
                after = kept
        return after
