"""What a panel with a chart over places shows: its title, key figure, curves and levels."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..drawing.chart_view import Mark, Series, Threshold
from ..style.look import Ink
from .line import EMPTY, Line, Piece


@dataclass(frozen=True, slots=True)
class CurvesView:
    """Curves over places 0 … `last` of the chart's horizontal axis."""

    title: Line
    series: Sequence[Series]
    last: float
    figures: Line = EMPTY
    thresholds: Sequence[Threshold] = ()
    marks: Sequence[Mark] = ()
    noun: str = ""
    """What the places count, such as GPUs."""

    def reading(self, place: str) -> Line:
        """The headline while the values of one place are read off: the place itself."""
        return Line.of(Piece(place, Ink.STRONG), Piece(f" {self.noun}", Ink.MUTED))
