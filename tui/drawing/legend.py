"""The legend of a chart: which curve is which and what it says, in as much room as there is."""

from collections.abc import Sequence
from enum import Enum

from ..style.formatting import Unit
from ..style.glyphs import Glyphs
from ..style.inks import SERIES_INKS, Ink
from .braille import ASCII_PENS
from .chart_data import ChartContent, Stroke
from .line import Line, Piece, joined


class Detail(Enum):
    """How much a legend says."""

    FULL = "curves with values, and thresholds"
    CURVES = "curves with values"
    SHORT = "curves with short values"
    VALUES = "short values without names"
    NAMES = "names without values"
    INKED = "names in the inks of their curves, right behind their pens"
    INKED_VALUES = "short values in the inks of their curves, right behind their pens"
    TIGHT = "the same names with nothing between them"
    TIGHT_VALUES = "the same values with nothing between them"


LIVE_DETAILS = (Detail.FULL, Detail.CURVES, Detail.SHORT, Detail.NAMES)
PLACED_DETAILS = (Detail.NAMES, Detail.INKED, Detail.TIGHT)
READING_DETAILS = (Detail.SHORT, Detail.VALUES, Detail.INKED_VALUES, Detail.TIGHT_VALUES)
SCRUBBING_DETAILS = (Detail.FULL, Detail.CURVES, Detail.SHORT, Detail.VALUES)
"""With a cursor the values of its moment matter most: names go first."""


def fitting_legend(
    content: ChartContent,
    values: Sequence[float | None],
    unit: Unit,
    top_value: float,
    glyphs: Glyphs,
    width: int,
    *,
    pens: Sequence[str],
    timed: bool = True,
) -> Line:
    """The legend with the most detail that fits into `width` cells; empty where none does.

    `values` are what to show for each series, `pens` their signs. Thresholds above `top_value`
    point upwards. Where the axis is not time (`timed`), no value is the newest: without a cursor
    there are but names.
    """
    details: tuple[Detail, ...]
    if content.cursor_s is None:
        details = LIVE_DETAILS if timed else PLACED_DETAILS
    else:
        details = SCRUBBING_DETAILS if timed else READING_DETAILS
    for detail in details:
        line = _legend(content, values, unit, top_value, glyphs, pens, detail)
        if line.width <= width:
            return line
    return Line()


def _legend(
    content: ChartContent,
    values: Sequence[float | None],
    unit: Unit,
    top_value: float,
    glyphs: Glyphs,
    pens: Sequence[str],
    detail: Detail,
) -> Line:
    gaps = {Detail.INKED: 1, Detail.INKED_VALUES: 1, Detail.TIGHT: 0, Detail.TIGHT_VALUES: 0}
    if detail in gaps:
        names = detail in (Detail.INKED, Detail.TIGHT)
        return _inked(content, values, unit, pens, names=names, gap=gaps[detail])
    entries: list[Line] = []
    for index, (series, value) in enumerate(zip(content.series, values, strict=True)):
        whole = detail in (Detail.FULL, Detail.CURVES)
        figure = unit.text(value) if whole else unit.short(value)
        entries.append(
            Line.of(
                Piece(pens[index], SERIES_INKS[content.ink_place(index)]),
                Piece("" if detail is Detail.VALUES else f" {series.name}", Ink.MUTED),
                Piece("" if detail is Detail.NAMES else f" {figure}", Ink.STRONG),
            )
        )
    for threshold in content.thresholds if detail is Detail.FULL else ():
        sign = glyphs.arrow_up if threshold.value > top_value else glyphs.threshold_line
        limit = f" {threshold.label} {unit.axis(threshold.value)}"
        entries.append(Line.of(Piece(sign + limit, threshold.ink)))
    return joined(entries, Line.of(Piece("  ")))


def _inked(
    content: ChartContent,
    values: Sequence[float | None],
    unit: Unit,
    pens: Sequence[str],
    *,
    names: bool,
    gap: int,
) -> Line:
    """Names or values in the inks of their curves, right behind their pens."""
    entries = []
    for index, (series, value) in enumerate(zip(content.series, values, strict=True)):
        text = series.name if names else unit.short(value)
        entries.append(Line.of(Piece(pens[index] + text, SERIES_INKS[content.ink_place(index)])))
    return joined(entries, Line.of(Piece(" " * gap)))


def pens_of(content: ChartContent, glyphs: Glyphs, *, marked: bool) -> list[str]:
    """The sign of each curve: what it is drawn with, or with `marked` what marks its points."""
    if marked:
        return list(glyphs.markers[: len(content.series)])
    return [_pen(series.stroke, index, glyphs) for index, series in enumerate(content.series)]


def _pen(stroke: Stroke, index: int, glyphs: Glyphs) -> str:
    """The sign of a series: what its curve looks like."""
    if stroke is Stroke.AREA:
        return glyphs.legend_area
    if not glyphs.unicode:
        return glyphs.legend_line if index == 0 else ASCII_PENS[(index - 1) % len(ASCII_PENS)]
    if stroke is Stroke.LINE:
        return glyphs.legend_line
    return glyphs.legend_dashed if stroke is Stroke.DASHED else glyphs.legend_dotted
