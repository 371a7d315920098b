"""Time cut into the columns of a chart, and samples pooled into them.

A bucket is half a cell wide and starts at a whole multiple of its length, so that a chart scrolls
by whole cells and what was drawn once keeps its shape, whenever it is drawn.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .chart_data import Numbers

Floats = NDArray[np.float64]

BUCKETS_PER_CELL = 2

LONGEST_HELD_S = 1.0
"""Newer data is held back for this long at most, to be drawn in one piece."""

PEAKS_FROM_S = 1.0
"""In buckets as long as this what is drawn reaches from their least sample to their greatest: a
shorter one holds few samples, and their mean is drawn."""

GAP_SPACINGS = 2.5
"""Samples further apart than this many usual spacings are not joined."""


_FARTHEST = 2.0**53
"""A time or a bucket beyond it, either way, counts as there: a file may have any number, and beyond
this one neighbouring buckets could not be told apart."""


@dataclass(frozen=True, slots=True)
class TimeBase:
    """`columns` cells of time; the last cell is the one that holds the moment `end_s`."""

    first_bucket: int
    bucket_s: float
    columns: int

    @classmethod
    def ending(cls, end_s: float, span_s: float, columns: int) -> "TimeBase":
        """About `span_s` of time up to `end_s`, in whole cells aligned to multiples of a cell."""
        bucket_s = span_s / (columns * BUCKETS_PER_CELL)
        last_cell = math.floor(end_s / (bucket_s * BUCKETS_PER_CELL))
        return cls((last_cell - columns + 1) * BUCKETS_PER_CELL, bucket_s, columns)

    def settled_s(self, end_s: float) -> float:
        """The end of what to draw up to `end_s`: a cell (or else a bucket) that is not over yet is
        left out while it is short. So a drawn dot never moves, and nothing is repainted until
        there is something new to see. Long ones show what they have so far."""
        for unit_s in (self.bucket_s * BUCKETS_PER_CELL, self.bucket_s):
            if unit_s <= LONGEST_HELD_S:
                return math.floor(end_s / unit_s) * unit_s
        return end_s

    @property
    def buckets(self) -> int:
        return self.columns * BUCKETS_PER_CELL

    @property
    def start_s(self) -> float:
        return self.first_bucket * self.bucket_s

    @property
    def end_s(self) -> float:
        """The end of the last cell: up to one cell after the moment it was made for."""
        return (self.first_bucket + self.buckets) * self.bucket_s

    def column_of(self, time_s: float) -> int | None:
        """The cell that holds a moment; `None` outside."""
        column = (math.floor(time_s / self.bucket_s) - self.first_bucket) // BUCKETS_PER_CELL
        return column if 0 <= column < self.columns else None


def bridge_s(times_s: Numbers | Floats, gap_s: float) -> float:
    """How far apart samples may be and still belong together: `gap_s`, or a few times their usual
    spacing, if that is longer."""
    newest = _within_reach(times_s[-64:])
    usual_s = float(np.median(np.diff(newest))) if len(newest) > 2 else 0.0
    return max(gap_s, GAP_SPACINGS * usual_s)


def bucketed(
    times_s: Numbers | Floats,
    values: Numbers | Floats,
    base: TimeBase,
    *,
    end_s: float = math.inf,
    gap_s: float = 2.0,
) -> Floats:
    """One value for each bucket, `[columns * 2]`; NaN where there is none.

    `times_s` ascend; samples from `end_s` on are left out. Buckets between two samples no further
    apart than `gap_s` (or than a few times the usual spacing, if that is longer) lie on the line
    between them. A NaN value is a gap on purpose and is never bridged.
    """
    times = _within_reach(times_s)
    numbers = np.asarray(values, dtype=np.float64)
    reach_s = bridge_s(times, gap_s)
    low = int(np.searchsorted(times, base.start_s - reach_s))
    high = int(np.searchsorted(times, min(end_s, base.end_s)))
    times, numbers = times[low:high], numbers[low:high]
    result = np.full(base.buckets, np.nan)
    if len(times) == 0:
        return result
    index = _bucket_numbers(times, base)
    measured = ~np.isnan(numbers)
    _pool(result, index, numbers, measured)
    _bridge(result, index, times, numbers, base, reach_s)
    return result


def extremes(
    times_s: Numbers | Floats, values: Numbers | Floats, base: TimeBase, *, end_s: float = math.inf
) -> tuple[Floats, Floats]:
    """The least and the greatest sample of each bucket, `[columns * 2]` each; NaN where there is
    none."""
    times = _within_reach(times_s)
    numbers = np.asarray(values, dtype=np.float64)
    index = _bucket_numbers(times, base)
    inside = ~np.isnan(numbers) & (index >= 0) & (index < base.buckets) & (times < end_s)
    lows, highs = np.full(base.buckets, np.nan), np.full(base.buckets, np.nan)
    np.fmin.at(lows, index[inside], numbers[inside])
    np.fmax.at(highs, index[inside], numbers[inside])
    return lows, highs


def _within_reach(times_s: Numbers | Floats) -> Floats:
    return np.clip(np.asarray(times_s, dtype=np.float64), -_FARTHEST, _FARTHEST)


def _bucket_numbers(times: Floats, base: TimeBase) -> NDArray[np.int64]:
    """The bucket of each sample; those of `base` are numbered from 0."""
    numbers = np.clip(np.floor(times / base.bucket_s), -_FARTHEST, _FARTHEST)
    return numbers.astype(np.int64) - base.first_bucket


def _pool(
    result: Floats,
    index: NDArray[np.int64],
    numbers: Floats,
    measured: NDArray[np.bool_],
) -> None:
    """Put the mean of each bucket with a measured sample into `result`."""
    inside = measured & (index >= 0) & (index < len(result))
    at = index[inside]
    if len(at) == 0:
        return
    starts = np.flatnonzero(np.concatenate(([True], at[1:] != at[:-1])))
    lengths = np.diff(np.append(starts, len(at)))
    result[at[starts]] = np.add.reduceat(numbers[inside], starts) / lengths


def _bridge(
    result: Floats,
    index: NDArray[np.int64],
    times: Floats,
    numbers: Floats,
    base: TimeBase,
    reach_s: float,
) -> None:
    """Fill the empty buckets between neighbouring samples that belong together."""
    near = (np.diff(times) <= reach_s) & (np.diff(index) > 1)
    starts = np.flatnonzero(near & ~np.isnan(numbers[1:]) & ~np.isnan(numbers[:-1]))
    if len(starts) == 0:
        return
    edges = np.zeros(base.buckets + 1, dtype=np.int64)
    np.add.at(edges, np.clip(index[starts] + 1, 0, base.buckets), 1)
    np.add.at(edges, np.clip(index[starts + 1], 0, base.buckets), -1)
    empty = np.flatnonzero((np.cumsum(edges[:-1]) > 0) & np.isnan(result))
    anchors = np.flatnonzero(~np.isnan(result))
    levels = result[anchors]
    before = starts[index[starts] < 0]
    if len(before):
        anchors = np.append(index[before[-1]], anchors)
        levels = np.append(numbers[before[-1]], levels)
    result[empty] = np.interp(empty, anchors, levels)
