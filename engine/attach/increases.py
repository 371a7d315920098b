"""How much counters have grown since they were first seen, over restarts of the server.

Each series is followed by itself, and each process behind an address too: a fall is a new start,
and all that it shows then has come since. So totals never fall, whatever a server answers.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from .exposition import Exposition
from .mapping.names import Labels
from .mapping.source import Metric, Spread

MOST_KEPT_BYTES: Final = 16 * 2**20
"""Series of one server are followed until their labels take this; those beyond are not counted."""
_PAIR_BYTES = 200
"""Of a label, beside its text."""
MOST_PROCESSES: Final = 8
"""So many processes behind one address are told apart."""
MOST_BOUNDS: Final = 500
"""So many buckets of a histogram are read."""

Process = float | None
"""When the process that answers has begun, on its own clock; `None` where it does not tell."""


class Room:
    """What is left of the memory for the series of one server, however many it makes up."""

    def __init__(self) -> None:
        self.left_bytes = MOST_KEPT_BYTES

    def take(self, labels: Labels) -> bool:
        """Take what a series needs; whether there was as much."""
        needed = _size(labels)
        if needed > self.left_bytes:
            return False
        self.left_bytes -= needed
        return True

    def give_back(self, series: Iterable[Labels]) -> None:
        """These are not followed any more."""
        self.left_bytes += sum(_size(labels) for labels in series)


def _size(labels: Labels) -> int:
    text = sum(len(name) + 4 * len(value) for name, value in labels)
    return text + _PAIR_BYTES * (len(labels) + 1)


class Followed:
    """The last values of series, of each process that answered.

    A series that was not seen before began at 0, unless its process is not `fresh`: then it is
    counted from what it shows. One that is missing for a while goes on from where it was.
    """

    __slots__ = ("_last", "_room")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._last: dict[Process, dict[Labels, float]] = {}

    def grown(
        self, values: Iterable[tuple[Labels, float]], process: Process, *, fresh: bool
    ) -> Iterator[tuple[Labels, float]]:
        """By how much each series of a scrape has grown; one that fell, by all that it shows."""
        last = self._last.setdefault(process, {})
        for labels, value in values:
            if value < 0:
                continue
            before = last.get(labels)
            if before is None:
                if not self._room.take(labels):
                    continue
                before = 0.0 if fresh else value
            last[labels] = value
            yield labels, value - before if value >= before else value

    def forget(self, process: Process) -> None:
        """A process does not answer any more."""
        self._room.give_back(self._last.pop(process, ()))


class Counter:
    """The sum of the increases of all series of a metric."""

    __slots__ = ("followed", "total")

    def __init__(self, room: Room) -> None:
        self.total = 0.0
        self.followed = Followed(room)

    def take(
        self, values: Iterable[tuple[Labels, float]], process: Process, *, fresh: bool
    ) -> bool:
        """Take in the values of a scrape; whether there was one."""
        seen = False
        for _, grown in self.followed.grown(values, process, fresh=fresh):
            seen = True
            self.total += grown
        return seen


class Histogram:
    """The increases of a histogram's sum, count and buckets, those of all its label sets merged.

    `bounds` are those that every label set has, without the infinite one.
    """

    def __init__(self, room: Room) -> None:
        self.total = Counter(room)
        self.count = Counter(room)
        self.followed = Followed(room)
        self.bounds: tuple[float, ...] = ()
        self._below: dict[float, float] = {}

    def take(self, scrape: Exposition, source: Spread, process: Process, *, fresh: bool) -> bool:
        """Take in a scrape; whether it has the histogram."""
        bucket, total, count = source.parts
        counted = self.count.take(_held(scrape, count), process, fresh=fresh)
        summed = self.total.take(_held(scrape, total), process, fresh=fresh)
        sets: dict[float, int] = {}
        buckets = self.followed.grown(_held(scrape, bucket), process, fresh=fresh)
        for labels, grown in buckets:
            bound = _bound(labels)
            if bound is None or (bound not in self._below and len(self._below) >= MOST_BOUNDS):
                continue
            sets[bound] = sets.get(bound, 0) + 1
            self._below[bound] = self._below.get(bound, 0.0) + grown
        if sets:
            most = max(sets.values())
            common = sorted(b for b, found in sets.items() if found == most and math.isfinite(b))
            self.bounds = self.bounds if list(self.bounds) == common else tuple(common)
        return counted and summed

    def below(self) -> list[float]:
        """How many values were up to each of `bounds`."""
        return [self._below[bound] for bound in self.bounds]


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
        self.room = Room()
        self.counters: Mapping[Metric, Counter] = {each: Counter(self.room) for each in counters}
        self.histograms: Mapping[Spread, Histogram] = {
            each: Histogram(self.room) for each in spreads
        }
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
            for followed in self._all_followed():
                followed.forget(oldest)

    def _all_followed(self) -> Iterator[Followed]:
        for counter in self.counters.values():
            yield counter.followed
        for histogram in self.histograms.values():
            yield from (histogram.total.followed, histogram.count.followed, histogram.followed)
