"""What a chart shows and how it is laid out and painted: pure functions onto a canvas."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..formatting import NUMBER, Unit, clip, span
from ..glyphs import Glyphs
from ..look import AREA_INKS, SERIES_COUNT, SERIES_INKS, Ink
from .braille import (
    ASCII_PENS,
    Floats,
    Pick,
    Stroke,
    TimeBase,
    Trace,
    bucketed,
    rasterize,
)
from .canvas import HIGHLIGHT, INK_IDS, Canvas
from .segments import Line, Piece, joined

AXIS_MIN_WIDTH = 34
TIME_ROW_MIN_HEIGHT = 5
LEGEND_ROW_MIN_HEIGHT = 7
AXIS_LABEL_WIDTH = 5

_AREA_IDS = np.array([INK_IDS[ink] for ink in AREA_INKS], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Series:
    """One curve: `values[i]` at `times_s[i]`, times ascending; NaN is a gap.

    `ink` is the place of the series among the colours, 0 … 5; by default its place in the chart.
    """

    name: str
    times_s: Sequence[float] | Floats
    values: Sequence[float] | Floats
    stroke: Stroke = Stroke.LINE
    pick: Pick = Pick.MEAN
    ink: int | None = None


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
class View:
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


@dataclass(frozen=True, slots=True)
class Settings:
    """What stays the same for a chart: units, a fixed upper end, what to say when empty."""

    unit: Unit = NUMBER
    top: float | None = None
    """A fixed upper end of the value axis; `None` follows the data."""
    least_top: float = 0.0
    """The value axis never ends below this, so that noise near zero stays small."""
    gap_s: float = 2.0
    legend: bool = True
    empty: str = "waiting for data"
    clock: Callable[[float], str] = lambda time_s: time.strftime("%H:%M:%S", time.localtime(time_s))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a chart lie: the plot, and the rows and columns around it."""

    left: int
    top: int
    width: int
    height: int
    legend_row: int | None
    time_row: int | None

    @classmethod
    def fit(cls, width: int, height: int, *, legend: bool) -> "Layout":
        """The parts that have room: narrow charts lose the value axis, low ones the rows."""
        left = AXIS_LABEL_WIDTH + 1 if width >= AXIS_MIN_WIDTH and height >= 3 else 0
        legend_row = 0 if legend and height >= LEGEND_ROW_MIN_HEIGHT else None
        time_row = height - 1 if height >= TIME_ROW_MIN_HEIGHT else None
        top = 1 if legend_row is not None else 0
        bottom = 1 if time_row is not None else 0
        return cls(left, top, width - left, max(1, height - top - bottom), legend_row, time_row)


@dataclass(frozen=True, slots=True)
class Sampled:
    """A view cut into buckets for one width: what both the scale and the painting need."""

    base: TimeBase
    levels: tuple[Floats, ...]

    @classmethod
    def of(cls, view: View, columns: int, gap_s: float) -> "Sampled":
        base = TimeBase.ending(view.end_s, view.span_s, columns)
        return cls(
            base,
            tuple(
                bucketed(series.times_s, series.values, base, pick=series.pick, gap_s=gap_s)
                for series in view.series
            ),
        )

    @property
    def peak(self) -> float | None:
        """The largest visible value; `None` where nothing is visible."""
        peaks = [
            float(np.nanmax(levels)) for levels in self.levels if not bool(np.isnan(levels).all())
        ]
        return max(peaks) if peaks else None

    def value_at(self, index: int, column: int | None) -> float | None:
        """The value of a series in a column."""
        if column is None:
            return None
        pair = self.levels[index][column * 2 : column * 2 + 2]
        known = pair[~np.isnan(pair)]
        return float(known.mean()) if len(known) else None


def paint(
    view: View,
    sampled: Sampled,
    settings: Settings,
    layout: Layout,
    top_value: float,
    glyphs: Glyphs,
    canvas: Canvas,
) -> None:
    """Paint a whole chart onto a blank canvas."""
    if sampled.peak is None:
        _paint_axis(settings, layout, None, glyphs, canvas)
        text = settings.empty[: layout.width]
        x = layout.left + (layout.width - len(text)) // 2
        canvas.write(x, layout.top + (layout.height - 1) // 2, text, Ink.MUTED)
    else:
        _paint_axis(settings, layout, top_value, glyphs, canvas)
        _paint_curves(view, sampled, layout, top_value, glyphs, canvas)
        _paint_thresholds(view, settings, layout, top_value, glyphs, canvas)
    _paint_marks(view, sampled.base, layout, glyphs, canvas)
    cursor = None if view.cursor_s is None else sampled.base.column_of(view.cursor_s)
    if cursor is not None:
        _paint_cursor(cursor, layout, glyphs, canvas)
    _paint_times(view, settings, layout, cursor, glyphs, canvas)
    if settings.legend:
        _paint_legend(view, sampled, settings, layout, top_value, cursor, glyphs, canvas)


def _paint_curves(
    view: View, sampled: Sampled, layout: Layout, top_value: float, glyphs: Glyphs, canvas: Canvas
) -> None:
    traces = [
        Trace(levels, series.stroke)
        for series, levels in zip(view.series, sampled.levels, strict=True)
    ]
    raster = rasterize(traces, sampled.base, layout.height, 0.0, top_value, unicode=glyphs.unicode)
    rows = slice(layout.top, layout.top + layout.height)
    columns = slice(layout.left, layout.left + layout.width)
    canvas.characters[rows, columns] = raster.characters
    places = np.array([_place(view, index) for index in range(len(traces))], dtype=np.int64)
    owners = places[np.maximum(raster.owner, 0)]
    lines = np.array([INK_IDS[ink] for ink in SERIES_INKS], dtype=np.uint8)[owners]
    inks = np.where(raster.inside, _AREA_IDS[owners], lines)
    canvas.inks[rows, columns] = np.where(raster.owner >= 0, inks, 0)


def _place(view: View, index: int) -> int:
    ink = view.series[index].ink
    return (index if ink is None else ink) % SERIES_COUNT


def _paint_axis(
    settings: Settings, layout: Layout, top_value: float | None, glyphs: Glyphs, canvas: Canvas
) -> None:
    if not layout.left:
        return
    x = layout.left - 1
    for y in range(layout.top, layout.top + layout.height):
        canvas.write(x, y, glyphs.axis, Ink.FAINT)
    if top_value is None:
        return
    for value, row in _ticks(layout.height, top_value):
        _paint_tick(settings.unit.axis(value), layout, row, Ink.MUTED, glyphs, canvas)


def _ticks(height: int, top_value: float) -> list[tuple[float, int]]:
    """Values to label and their rows in the plot: both ends, and the middle where it is exact."""
    ticks = [(top_value, 0)]
    if height >= 5:
        middle = height // 2
        ticks.append((top_value / 2, middle))
    if height >= 2:
        ticks.append((0.0, height - 1))
    return ticks


def _paint_tick(
    label: str, layout: Layout, row: int, ink: Ink, glyphs: Glyphs, canvas: Canvas
) -> None:
    x = layout.left - 1
    canvas.write(x - AXIS_LABEL_WIDTH, layout.top + row, label.rjust(AXIS_LABEL_WIDTH), ink)
    canvas.write(x, layout.top + row, glyphs.tick, Ink.FAINT)


def _paint_thresholds(
    view: View,
    settings: Settings,
    layout: Layout,
    top_value: float,
    glyphs: Glyphs,
    canvas: Canvas,
) -> None:
    for threshold in view.thresholds:
        if not 0 <= threshold.value <= top_value:
            continue
        dots = layout.height * 4
        row = layout.height - 1 - round(threshold.value / top_value * (dots - 1)) // 4
        y = layout.top + row
        cells = slice(layout.left, layout.left + layout.width)
        free = canvas.characters[y, cells] == ord(" ")
        canvas.characters[y, cells][free] = ord(glyphs.threshold_line)
        canvas.inks[y, cells][free] = INK_IDS[threshold.ink]
        if layout.left:
            label = settings.unit.axis(threshold.value)
            _paint_tick(label, layout, row, threshold.ink, glyphs, canvas)


def _paint_marks(
    view: View, base: TimeBase, layout: Layout, glyphs: Glyphs, canvas: Canvas
) -> None:
    rows = slice(layout.top, layout.top + layout.height)
    next_free = layout.left + layout.width
    for mark in sorted(view.marks, key=lambda mark: mark.time_s, reverse=True):
        column = base.column_of(mark.time_s)
        if column is None:
            continue
        x = layout.left + column
        free = (canvas.characters[rows, x] == ord(" ")) | (
            canvas.characters[rows, x] == ord(glyphs.threshold_line)
        )
        canvas.characters[rows, x][free] = ord(glyphs.mark_line)
        canvas.inks[rows, x][free] = INK_IDS[mark.ink]
        if next_free < layout.left + layout.width or x + 1 + len(mark.label) <= next_free:
            room = next_free - x - 1
            text = clip(mark.label, room, ellipsis=glyphs.ellipsis) if room >= 3 else ""
            start, label = x, glyphs.mark + text
        else:
            start, label = max(layout.left, x - len(mark.label)), glyphs.mark
            label = mark.label[: x - start] + glyphs.mark
        if x < next_free:
            canvas.write(start, layout.top, label, mark.ink)
            next_free = start - 1


def _paint_cursor(column: int, layout: Layout, glyphs: Glyphs, canvas: Canvas) -> None:
    rows = slice(layout.top, layout.top + layout.height)
    x = layout.left + column
    free = canvas.characters[rows, x] == ord(" ")
    canvas.characters[rows, x][free] = ord(glyphs.cursor_line)
    canvas.inks[rows, x][free] = INK_IDS[Ink.CURSOR]
    canvas.inks[rows, x] |= HIGHLIGHT


def _paint_times(
    view: View,
    settings: Settings,
    layout: Layout,
    cursor: int | None,
    glyphs: Glyphs,
    canvas: Canvas,
) -> None:
    if layout.time_row is None:
        return
    live = view.end_s >= view.now_s
    left = f"-{span(view.span_s)}" if live else settings.clock(view.end_s - view.span_s)
    right = "now" if live else settings.clock(view.end_s)
    end = layout.left + layout.width
    taken = range(0)
    if cursor is not None and view.cursor_s is not None:
        label = settings.clock(view.cursor_s)
        x = layout.left + cursor - len(label) // 2
        x = max(layout.left, min(x, end - len(label)))
        canvas.write(x, layout.time_row, label, Ink.CURSOR)
        taken = range(x - 1, x + len(label) + 1)
    if layout.left + len(left) not in taken and layout.left not in taken:
        canvas.write(layout.left, layout.time_row, left, Ink.MUTED)
    if end - len(right) not in taken and end not in taken:
        canvas.write(end - len(right), layout.time_row, right, Ink.MUTED)


def _paint_legend(
    view: View,
    sampled: Sampled,
    settings: Settings,
    layout: Layout,
    top_value: float,
    cursor: int | None,
    glyphs: Glyphs,
    canvas: Canvas,
) -> None:
    if layout.legend_row is not None:
        x, y, room = layout.left, layout.legend_row, layout.width
    elif layout.time_row is not None and cursor is None:
        x, y, room = layout.left + 7, layout.time_row, layout.width - 12
    else:
        return
    for detail in range(3, -1, -1):
        line = _legend(view, sampled, settings, top_value, cursor, glyphs, detail)
        if line.width <= room:
            shift = 0 if layout.legend_row is not None else (room - line.width) // 2
            canvas.write_line(x + shift, y, line)
            return


def _legend(
    view: View,
    sampled: Sampled,
    settings: Settings,
    top_value: float,
    cursor: int | None,
    glyphs: Glyphs,
    detail: int,
) -> Line:
    """All entries: 3 in full, 2 without the thresholds, 1 with short values, 0 without names."""
    entries: list[Line] = []
    for index, series in enumerate(view.series):
        value = (
            sampled.value_at(index, cursor) if view.cursor_s is not None else _last(series, view)
        )
        name = f" {series.name} " if detail > 0 else " "
        text = settings.unit.text(value) if detail > 1 else settings.unit.short(value)
        entries.append(
            Line.of(
                Piece(_pen(series.stroke, index, glyphs), SERIES_INKS[_place(view, index)]),
                Piece(name, Ink.MUTED),
                Piece(text, Ink.STRONG),
            )
        )
    for threshold in view.thresholds if detail > 2 else ():
        sign = glyphs.arrow_up if threshold.value > top_value else glyphs.threshold_line
        limit = f" {threshold.label} {settings.unit.axis(threshold.value)}"
        entries.append(Line.of(Piece(sign + limit, threshold.ink)))
    return joined(entries, Line.of(Piece("  ")))


def _last(series: Series, view: View) -> float | None:
    """The newest value in view; `None` if it is missing."""
    times = np.asarray(series.times_s, dtype=np.float64)
    index = int(np.searchsorted(times, view.end_s, side="right")) - 1
    if index < 0 or times[index] < view.end_s - view.span_s:
        return None
    value = float(series.values[index])
    return None if math.isnan(value) else value


def _pen(stroke: Stroke, index: int, glyphs: Glyphs) -> str:
    """The sign of a series in the legend: what its curve looks like."""
    if stroke is Stroke.AREA:
        return glyphs.legend_area
    if not glyphs.unicode:
        return glyphs.legend_line if index == 0 else ASCII_PENS[(index - 1) % len(ASCII_PENS)]
    return {
        Stroke.DASHED: glyphs.legend_dashed,
        Stroke.DOTTED: glyphs.legend_dotted,
    }.get(stroke, glyphs.legend_line)
