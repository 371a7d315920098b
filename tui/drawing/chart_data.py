"""What a chart is asked to show: curves, marks, thresholds and a stretch of time.

Free of numpy, which takes long to import: panels say what they draw before there is anything to
draw.
"""

import math
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..style.formatting import NUMBER, Unit
from ..style.inks import SERIES_COUNT, Ink

Numbers = Sequence[float]
"""A tuple, a list, an `array`, or anything else that numpy takes for a row of numbers."""


class Stroke(StrEnum):
    """How a series is drawn. Strokes tell series apart where there is no colour."""

    LINE = "line"
    DASHED = "dashed"
    DOTTED = "dotted"
    AREA = "area"


@dataclass(frozen=True, slots=True)
class Series:
    """One curve: `values[i]` at `times_s[i]`, times ascending; NaN is a gap.

    `ink` is the place of the series among the colours, 0 … 5; by default its place in the chart.
    """

    name: str
    times_s: Numbers
    values: Numbers
    stroke: Stroke = Stroke.LINE
    ink: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever measured."""
        return all(map(math.isnan, self.values))

    def read(self, at_s: float, within_s: float) -> float | None:
        """The newest value in the `within_s` up to `at_s`, as it was measured: nothing is read off
        the drawing. With 0, the value at that very place. `None` if it is missing."""
        index = bisect_right(self.times_s, at_s) - 1
        if index < 0 or self.times_s[index] < at_s - within_s or math.isnan(self.values[index]):
            return None
        return float(self.values[index])


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment to point out: a vertical line and a short label on the top row."""

    time_s: float
    label: str
    ink: Ink = Ink.MARK


@dataclass(frozen=True, slots=True)
class Threshold:
    """A level to compare with, an SLO for example: a horizontal line."""

    value: float
    label: str
    ink: Ink = Ink.THRESHOLD


@dataclass(frozen=True, slots=True)
class Heat:
    """How values were distributed over time, drawn as shades behind the curves.

    `cells` are times, ascending, each with how many values lie in which step: step i is between
    `edges[i - 1]` and `edges[i]`, the first below all edges and the last above. Equal `version`
    means equal cells.
    """

    edges: Numbers
    cells: Sequence[tuple[float, Mapping[int, int]]]
    version: int
    ink: int = 0
    """The place among the series' colours."""


@dataclass(frozen=True, slots=True)
class ChartContent:
    """What a chart shows: `span_s` of time up to `end_s`.

    All times are on one clock. `now_s` is the newest moment; the chart is scrolled back where
    `end_s` lies before it, and then labels its time axis with clock times.
    """

    series: tuple[Series, ...]
    now_s: float
    span_s: float
    end_s: float
    marks: tuple[Mark, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    cursor_s: float | None = None
    heat: Heat | None = None

    def ink_place(self, index: int) -> int:
        """The place of a series among the series colours."""
        ink = self.series[index].ink
        return (index if ink is None else ink) % SERIES_COUNT


@dataclass(frozen=True, slots=True)
class Place:
    """A label of a horizontal axis that is not time: the place on it, and what it says."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class ChartSettings:
    """What stays the same for a chart: units, the value axis, what to say when empty."""

    unit: Unit = NUMBER
    top: float | None = None
    """A fixed upper end of the value axis; `None` follows the data."""
    least_top: float = 0.0
    """The value axis never ends below this, so that noise near zero stays small."""
    logarithmic: bool = False
    """A logarithmic value axis, which also holds the thresholds; the two above do not apply."""
    gap_s: float = 2.0
    named: bool = False
    """Even a single curve is named where there is little room, as several are."""
    empty: str = "waiting for data"
    places: tuple[Place, ...] = ()
    """Labels of the horizontal axis where it is not time: `times_s` are then places on it."""
    clock: Callable[[float], str] = lambda time_s: time.strftime("%H:%M:%S", time.localtime(time_s))
