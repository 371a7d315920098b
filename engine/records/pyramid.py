"""A min/max pyramid: what a long series looks like at any zoom, without losing its peaks.

The finest level has one extent for each `bucket_s`; each level above merges `FACTOR` neighbours.
A chart of any span is drawn from the level that has about as many buckets as it has columns.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

FACTOR = 4


class Extent(NamedTuple):
    """Samples of one stretch of time, `start_s` ≤ t < `end_s`."""

    start_s: float
    end_s: float
    low: float
    high: float
    total: float
    samples: int
    last: float
    """The newest of them: what a counter stands at."""

    @property
    def mean(self) -> float:
        return self.total / self.samples


def merged(extents: Sequence[Extent]) -> Extent:
    """Neighbours, oldest first and at least one, as one stretch."""
    return Extent(
        extents[0].start_s,
        extents[-1].end_s,
        min(each.low for each in extents),
        max(each.high for each in extents),
        math.fsum(each.total for each in extents),
        sum(each.samples for each in extents),
        extents[-1].last,
    )


def summarized(points: Iterable[tuple[float, float]], bucket_s: float) -> list[Extent]:
    """The extents of the buckets that hold points, oldest first.

    `points` are (time in s, value), in order of time; values that are not finite are left out.
    Buckets begin at multiples of `bucket_s`.
    """
    extents: list[Extent] = []
    place: float | None = None
    values: list[float] = []
    for time_s, value in points:
        if not math.isfinite(value):
            continue
        of_point = time_s // bucket_s
        if of_point != place:
            _close(extents, place, values, bucket_s)
            place, values = of_point, []
        values.append(value)
    _close(extents, place, values, bucket_s)
    return extents


def _close(
    extents: list[Extent], place: float | None, values: Sequence[float], bucket_s: float
) -> None:
    if place is not None and values:
        extents.append(
            Extent(
                place * bucket_s,
                (place + 1) * bucket_s,
                min(values),
                max(values),
                math.fsum(values),
                len(values),
                values[-1],
            )
        )


class Pyramid:
    """The levels over extents of equal stretches. Stretches without a sample are not in it."""

    def __init__(self, extents: Iterable[Extent], bucket_s: float) -> None:
        """`extents` of `bucket_s` each, oldest first; two of one stretch are merged."""
        self._bucket_s = bucket_s
        self._levels: list[list[Extent]] = [_grouped(extents, bucket_s)]
        while len(self._levels[-1]) > 1:
            width_s = bucket_s * FACTOR ** len(self._levels)
            self._levels.append(_grouped(self._levels[-1], width_s))

    def at_width(self, width_s: float) -> list[Extent]:
        """The extents of the finest level whose buckets are at least `width_s`, or of the top."""
        for number, level in enumerate(self._levels):
            if self._bucket_s * FACTOR**number >= width_s:
                return level
        return self._levels[-1]

    def extents(self, start_s: float, end_s: float, most: int) -> list[Extent]:
        """The extents that touch `start_s` … `end_s`, of the finest level that has no more than
        `most` of them there (or of the top)."""
        found: list[Extent] = []
        for level in self._levels:
            found = _touching(level, start_s, end_s)
            if len(found) <= most:
                break
        return found


def _grouped(extents: Iterable[Extent], width_s: float) -> list[Extent]:
    groups: list[Extent] = []
    together: list[Extent] = []
    place: int | None = None
    for each in extents:
        # From its middle: where it begins may be rounded to just before the stretch.
        of_each = math.floor((each.start_s + each.end_s) / 2 / width_s)
        if of_each != place and together:
            groups.append(_spread(merged(together), place, width_s))
            together = []
        place = of_each
        together.append(each)
    if together:
        groups.append(_spread(merged(together), place, width_s))
    return groups


def _spread(extent: Extent, place: int | None, width_s: float) -> Extent:
    """The extent over all of its stretch."""
    begin = 0 if place is None else place
    return extent._replace(start_s=begin * width_s, end_s=(begin + 1) * width_s)


def _touching(level: Sequence[Extent], start_s: float, end_s: float) -> list[Extent]:
    first, last = 0, len(level)
    while first < last:
        middle = (first + last) // 2
        if level[middle].end_s <= start_s:
            first = middle + 1
        else:
            last = middle
    stop = first
    while stop < len(level) and level[stop].start_s <= end_s:
        stop += 1
    return list(level[first:stop])
