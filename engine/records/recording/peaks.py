"""What charts need of long ago, as a table: two rows for each stretch of time, its least values and
its greatest. So no peak is lost, however long a recording is."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..columns import COLUMNS, COUNTERS
from ..pyramid import FACTOR, Extent, Pyramid
from .database import PEAK_BUCKET_S, Peaks

MOST_STRETCHES = 4_000
"""More than any chart has columns."""


class PeakTable(NamedTuple):
    """Times on the recording's clock, oldest first, and a value of each column at each: NaN where
    there was none. A counter's last value stands in both rows of a stretch."""

    times_s: "array[float]"
    columns: Mapping[str, "array[float]"]

    def before(self, time_s: float) -> "PeakTable":
        """The rows of the time before."""
        end = bisect_left(self.times_s, time_s)
        # Both rows of a stretch, or none.
        end -= end % 2
        cut = {name: column[:end] for name, column in self.columns.items()}
        return PeakTable(self.times_s[:end], cut)


def peak_table(peaks: Iterable[Peaks], span_s: float) -> PeakTable:
    """The table of a recording that spans `span_s`."""
    extents: dict[str, list[Extent]] = {}
    for each in peaks:
        for name, column in each.columns.items():
            if name in COLUMNS:
                extents.setdefault(name, []).extend(column)
    width_s = PEAK_BUCKET_S
    while span_s / width_s > MOST_STRETCHES:
        width_s *= FACTOR
    stretches: dict[float, dict[str, Extent]] = {}
    for name, column in extents.items():
        for extent in Pyramid(column, PEAK_BUCKET_S).at_width(width_s):
            stretches.setdefault(extent.start_s, {})[name] = extent
    starts = sorted(stretches)
    times_s = array("d", [start + part * width_s for start in starts for part in (0.25, 0.75)])
    return PeakTable(
        times_s,
        {
            name: array("d", [value for start in starts for value in _pair(name, stretches[start])])
            for name in COLUMNS
        },
    )


def _pair(name: str, stretch: Mapping[str, Extent]) -> tuple[float, float]:
    extent = stretch.get(name)
    if extent is None:
        return math.nan, math.nan
    return (extent.last, extent.last) if name in COUNTERS else (extent.low, extent.high)
