"""Where one stops on the way back through time: events, and spikes of the curves."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..style.formatting import COUNT, MILLISECONDS, Unit
from .history import History
from .moment import LogLine

SPIKE, NOTE = "spike", "note"
QUIET_KINDS = frozenset({"info"})
"""Of lines in the log: what keys were answered, and nothing that happened."""

BASE_S = 60.0
"""A spike is held against the median of so long before it."""
LEAST_BASE = 4
"""Samples that a median is made of."""
BEGINS_AT, ENDS_AT = 2.0, 1.5
"""Times the median: a spike begins above the one, and ends below the other."""
SETTLED_S = 15.0
"""For so long: what rises again before is the same spike."""


class SpikeColumn(NamedTuple):
    """A curve whose spikes are looked for: a step above the median below `least` is none."""

    title: str
    least: float
    unit: Unit


SPIKE_COLUMNS = {
    "ttft_p95_ms": SpikeColumn("TTFT p95", 20.0, MILLISECONDS),
    "tpot_p95_ms": SpikeColumn("TPOT p95", 10.0, MILLISECONDS),
    "in_system": SpikeColumn("requests in the system", 4.0, COUNT),
}


@dataclass(frozen=True, slots=True)
class Stop:
    """A moment to go to, on the clock of the history. `kind` is a log line's, or `spike`."""

    wall_s: float
    kind: str
    text: str
    clock_shift_s: float = 0.0


def spikes(
    times_s: Sequence[float], values: Sequence[float], least: float
) -> list[tuple[float, float]]:
    """The peaks of what rises far above the time before it: (time, value), oldest first.

    `times_s` ascend; NaN is no value. A spike begins above twice the median of the minute before,
    and at least `least` above it; its peak is its first greatest value until it has ended.
    """
    found: list[tuple[float, float]] = []
    window: list[tuple[float, float]] = []
    ordered: list[float] = []
    peak: tuple[float, float] | None = None
    high_s = base = 0.0
    oldest = 0
    for time_s, value in zip(times_s, values, strict=True):
        if value != value:
            continue
        while oldest < len(window) and window[oldest][0] < time_s - BASE_S:
            del ordered[bisect_left(ordered, window[oldest][1])]
            oldest += 1
        if peak is None and len(ordered) >= LEAST_BASE:
            base = ordered[len(ordered) // 2]
            if value > max(base * BEGINS_AT, base + least):
                peak, high_s = (time_s, value), time_s
        elif peak is not None:
            peak = max(peak, (time_s, value), key=lambda each: each[1])
            if value >= max(base * ENDS_AT, base + least / 2):
                high_s = time_s
            elif time_s - high_s >= SETTLED_S:
                found.append(peak)
                peak = None
        window.append((time_s, value))
        insort(ordered, value)
    return [*found, peak] if peak is not None else found


def stops_of(log: Sequence[LogLine], history: History) -> list[Stop]:
    """Everything to stop at that is remembered, in order of time."""
    found = [
        Stop(entry.wall_s, entry.kind, entry.text, entry.clock_shift_s)
        for entry in log
        if entry.kind not in QUIET_KINDS
    ]
    begin_s, end_s = history.oldest_s, history.newest_s
    if begin_s is not None and end_s is not None:
        for name, column in SPIKE_COLUMNS.items():
            series = history.series(name, begin_s, end_s)
            found += [
                Stop(at_s, SPIKE, f"{column.title} {column.unit.text(value)}")
                for at_s, value in spikes(series.times_s, series.values, column.least)
            ]
    return sorted(found, key=lambda stop: stop.wall_s)


def next_stop(stops: Sequence[Stop], at_s: float, direction: int) -> Stop | None:
    """The nearest stop after a moment, or before it; `stops` are in order of time."""
    times_s = [stop.wall_s for stop in stops]
    if direction > 0:
        place = bisect_right(times_s, at_s)
        return stops[place] if place < len(stops) else None
    place = bisect_left(times_s, at_s) - 1
    return stops[place] if place >= 0 else None


def matching(stops: Sequence[Stop], text: str) -> list[Stop]:
    """The stops in whose kind or text all words of a search occur, in any case."""
    words = text.casefold().split()
    return [
        stop
        for stop in stops
        if all(word in f"{stop.kind} {stop.text}".casefold() for word in words)
    ]
