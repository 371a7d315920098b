"""How much counters have grown since they were first seen, over restarts of the server.

Each series is followed by itself, and each process behind an address too: a fall is a new start,
and all that it shows then has come since. So totals never fall, whatever a server answers.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from .exposition import Exposition, Labels
from .mapping.source import Metric, Spread

MOST_SERIES: Final = 20_000
"""So many series of one metric are followed; those beyond it are not counted."""
MOST_PROCESSES: Final = 8
"""So many processes behind one address are told apart."""
MOST_BOUNDS: Final = 500
"""So many buckets of a histogram are read."""

Process = float | None
"""When the process that answers has begun, on its own clock; `None` where it does not tell."""


class Counter:
    """The sum of the increases of all series of a metric, of each process that answered.

    A series that was not seen before began at 0, unless its process is not `fresh`: then it is
    counted from what it shows. One that is missing for a while goes on from where it was.
    """

    __slots__ = ("_last", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self._last: dict[Process, dict[Labels, float]] = {}

    def take(
        self, values: Iterable[tuple[Labels, float]], process: Process, *, fresh: bool
    ) -> bool:
        """Take in the values of a scrape; whether there was one."""
        seen, last = False, self._last.setdefault(process, {})
        for labels, value in values:
            if value < 0:
                continue
            seen = True
            before = last.get(labels)
            if before is None:
                if len(last) >= MOST_SERIES:
                    continue
                if fresh:
                    self.total += value
            else:
                self.total += value - before if value >= before else value
            last[labels] = value
        return seen

    def forget(self, process: Process) -> None:
        """A process does not answer any more."""
        self._last.pop(process, None)


@dataclass
class Histogram:
    """The increases of a histogram's sum, count and buckets, those of all its label sets merged.

    `bounds` are those that every label set has, without the infinite one; `below` the values up to
    each of them.
    """

    total: Counter = field(default_factory=Counter)
    count: Counter = field(default_factory=Counter)
    buckets: dict[float, Counter] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()

    def take(self, scrape: Exposition, source: Spread, process: Process, *, fresh: bool) -> bool:
        """Take in a scrape; whether it has the histogram."""
        bucket, total, count = (
            Metric(f"{source.base}_{part}", source.where) for part in ("bucket", "sum", "count")
        )
        counted = self.count.take(_held(scrape, count), process, fresh=fresh)
        summed = self.total.take(_held(scrape, total), process, fresh=fresh)
        by_bound: dict[float, list[tuple[Labels, float]]] = {}
        for labels, value in _held(scrape, bucket):
            bound = _bound(labels)
            if bound is not None:
                by_bound.setdefault(bound, []).append((labels, value))
        sets = max((len(found) for found in by_bound.values()), default=0)
        common = sorted(bound for bound, found in by_bound.items() if len(found) == sets)
        for bound, found in by_bound.items():
            counter = self.buckets.get(bound)
            if counter is None:
                if len(self.buckets) >= MOST_BOUNDS:
                    continue
                counter = self.buckets[bound] = Counter()
            counter.take(found, process, fresh=fresh)
        if common:
            self.bounds = tuple(b for b in common if math.isfinite(b) and b in self.buckets)
        return counted and summed

    def below(self) -> list[float]:
        """How many values were up to each of `bounds`."""
        return [self.buckets[bound].total for bound in self.bounds]


@lru_cache(4096)
def _bound(labels: Labels) -> float | None:
    """The upper bound of a bucket; `None` where its labels tell none."""
    for name, value in labels:
        if name == "le":
            try:
                bound = float(value)
            except ValueError:
                return None
            return bound if bound >= 0 else None
    return None


def _held(scrape: Exposition, metric: Metric) -> Iterable[tuple[Labels, float]]:
    samples = scrape.samples(metric.key).items()
    return [each for each in samples if metric.holds(each[0])] if metric.where else samples


class Increases:
    """All counters and histograms of a table, as they have grown since the first scrape."""

    def __init__(self, counters: Iterable[Metric], spreads: Iterable[Spread]) -> None:
        self.counters: Mapping[Metric, Counter] = {metric: Counter() for metric in counters}
        self.histograms: Mapping[Spread, Histogram] = {each: Histogram() for each in spreads}
        self.seen: set[Metric | Spread] = set()
        """Those that the server has shown at least once."""
        self._processes: dict[Process, None] = {}

    def take(self, scrape: Exposition, process: Process, *, began_since: bool) -> None:
        """Take in a scrape of a process; `began_since`: it has begun since the last scrape.

        One that answers for the first time and is older, as another one behind a load balancer,
        is counted from what it shows now.
        """
        fresh = began_since or process in self._processes
        self._remember(process)
        for metric, counter in self.counters.items():
            if counter.take(_held(scrape, metric), process, fresh=fresh):
                self.seen.add(metric)
        for source, histogram in self.histograms.items():
            if histogram.take(scrape, source, process, fresh=fresh):
                self.seen.add(source)

    def _remember(self, process: Process) -> None:
        self._processes.pop(process, None)
        self._processes[process] = None
        if len(self._processes) > MOST_PROCESSES:
            oldest = next(iter(self._processes))
            del self._processes[oldest]
            for counter in self._all_counters():
                counter.forget(oldest)

    def _all_counters(self) -> Iterator[Counter]:
        yield from self.counters.values()
        for histogram in self.histograms.values():
            yield histogram.total
            yield histogram.count
            yield from histogram.buckets.values()
