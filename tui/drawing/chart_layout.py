"""A chart laid out, and what it shows cut into columns: values, and pure functions of them."""

import math
from dataclasses import dataclass

import numpy as np

from .chart_data import ChartContent
from .scale import Extent
from .timebase import PEAKS_FROM_S, Floats, TimeBase, bucketed, extremes

AXIS_MIN_WIDTH = 34
TIME_ROW_MIN_HEIGHT = 5
NAMES_ROW_MIN_HEIGHT = 3
"""Several curves are told apart by the legend, which then shares the row of the times."""
LEGEND_ROW_MIN_HEIGHT = 7
MARK_ROW_MIN_HEIGHT = 4
"""In lower charts a mark is its line alone: a label would take a row from the curves."""
AXIS_LABEL_WIDTH = 5


@dataclass(frozen=True, slots=True)
class ChartLayout:
    """Where the parts of a chart lie: the plot, and the rows and columns around it."""

    left: int
    top: int
    width: int
    height: int
    legend_row: int | None
    time_row: int | None
    mark_row: int | None = None
    """Labels of marks have a row of their own, above the curves that they would cover."""

    @property
    def rows(self) -> slice:
        """The rows of the plot."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """The columns of the plot."""
        return slice(self.left, self.left + self.width)

    @classmethod
    def fit(
        cls, width: int, height: int, *, named: bool = False, marked: bool = False
    ) -> "ChartLayout":
        """The parts that have room: narrow charts lose the value axis, low ones the rows, those
        whose curves must be `named` last. `marked`: there are marks to label."""
        left = AXIS_LABEL_WIDTH + 1 if width >= AXIS_MIN_WIDTH and height >= 3 else 0
        legend_row = 0 if height >= LEGEND_ROW_MIN_HEIGHT else None
        time_row_from = NAMES_ROW_MIN_HEIGHT if named else TIME_ROW_MIN_HEIGHT
        time_row = height - 1 if height >= time_row_from else None
        top = 1 if legend_row is not None else 0
        mark_row = top if marked and height >= MARK_ROW_MIN_HEIGHT else None
        top += mark_row is not None
        bottom = 1 if time_row is not None else 0
        rows = max(1, height - top - bottom)
        return cls(left, top, width - left, rows, legend_row, time_row, mark_row)


@dataclass(frozen=True, slots=True)
class Sampled:
    """The curves cut into buckets for one width: what both the scale and the painting need."""

    base: TimeBase
    levels: tuple[Floats, ...]
    peaks: tuple[tuple[Floats, Floats], ...] = ()
    """Of each curve the least and the greatest samples, where buckets are long."""

    @classmethod
    def of(
        cls, content: ChartContent, columns: int, gap_s: float, *, timed: bool = True
    ) -> "Sampled":
        """`timed`: the newest column is held back until it is whole."""
        base = TimeBase.ending(content.end_s, content.span_s, columns)
        end_s = base.settled_s(content.end_s) if timed else math.inf
        return cls(
            base,
            tuple(
                bucketed(
                    series.times_s,
                    series.values,
                    base,
                    end_s=end_s,
                    gap_s=gap_s,
                )
                for series in content.series
            ),
            tuple(
                extremes(series.times_s, series.values, base, end_s=end_s)
                for series in content.series
            )
            if timed and base.bucket_s >= PEAKS_FROM_S
            else (),
        )

    def same_as(self, other: "Sampled | None") -> bool:
        """Whether the curves are the same, dot for dot on the same scale."""
        return (
            other is not None
            and self.base == other.base
            and len(self._drawn) == len(other._drawn)
            and all(
                np.array_equal(mine, theirs, equal_nan=True)
                for mine, theirs in zip(self._drawn, other._drawn, strict=True)
            )
        )

    @property
    def _drawn(self) -> tuple[Floats, ...]:
        return (*self.levels, *(each for pair in self.peaks for each in pair))

    @property
    def extent(self) -> Extent | None:
        """What is visible; `None` where nothing is."""
        levels = np.concatenate(self._drawn) if self.levels else np.empty(0)
        measured = levels[~np.isnan(levels)]
        if len(measured) == 0:
            return None
        highest = float(measured.max())
        return Extent(float(measured[measured > 0].min(initial=max(highest, 0.0))), highest)
