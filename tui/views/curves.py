"""What a panel with a chart over places shows: its title, key figure, curves and levels."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..widgets.chart_view import Mark, Series, Threshold
from .line import EMPTY, Line


@dataclass(frozen=True, slots=True)
class CurvesView:
    """Curves over places 0 … `last` of the chart's horizontal axis."""

    title: Line
    series: Sequence[Series]
    last: float
    figures: Line = EMPTY
    thresholds: Sequence[Threshold] = ()
    marks: Sequence[Mark] = ()
