"""Paints a chart onto a canvas: curves, axes, thresholds, marks, cursor, legend."""

from enum import Enum

import numpy as np

from ..formatting import clip, span
from ..glyphs import Glyphs
from ..look import AREA_INKS, SERIES_INKS, Ink
from .braille import ASCII_PENS, Raster, Stroke, Trace, rasterize
from .canvas import HIGHLIGHT, INK_IDS, Canvas
from .plot import AXIS_LABEL_WIDTH, Layout, Sampled, Settings, View
from .segments import Line, Piece, joined
from .timebase import TimeBase

_SERIES_IDS = np.array([INK_IDS[ink] for ink in SERIES_INKS], dtype=np.uint8)
_AREA_IDS = np.array([INK_IDS[ink] for ink in AREA_INKS], dtype=np.uint8)


class Detail(Enum):
    """How much the legend says, for as much as there is room."""

    FULL = "curves with values, and thresholds"
    CURVES = "curves with values"
    SHORT = "curves with short values"
    VALUES = "short values without names"
    NAMES = "names without values"


def draw_curves(
    view: View, sampled: Sampled, layout: Layout, top_value: float, glyphs: Glyphs
) -> Raster:
    """The curves alone, as cells of the plot."""
    traces = [
        Trace(levels, series.stroke)
        for series, levels in zip(view.series, sampled.levels, strict=True)
    ]
    return rasterize(traces, sampled.base, layout.height, 0.0, top_value, unicode=glyphs.unicode)


def paint(
    view: View,
    sampled: Sampled,
    raster: Raster,
    settings: Settings,
    layout: Layout,
    top_value: float,
    glyphs: Glyphs,
    canvas: Canvas,
) -> None:
    """Paint a whole chart onto a blank canvas; `raster` are its curves."""
    if sampled.peak is None:
        _paint_axis(settings, layout, None, glyphs, canvas)
        text = settings.empty[: layout.width]
        x = layout.left + (layout.width - len(text)) // 2
        canvas.write(x, layout.top + (layout.height - 1) // 2, text, Ink.MUTED)
    else:
        _paint_axis(settings, layout, top_value, glyphs, canvas)
        _paint_curves(view, raster, layout, canvas)
        _paint_thresholds(view, settings, layout, top_value, glyphs, canvas)
    _paint_marks(view, sampled.base, layout, glyphs, canvas)
    cursor = None if view.cursor_s is None else sampled.base.column_of(view.cursor_s)
    if cursor is not None:
        _paint_cursor(cursor, layout, glyphs, canvas)
    _paint_times(view, settings, layout, cursor, glyphs, canvas)
    if settings.legend:
        _paint_legend(view, sampled, settings, layout, top_value, cursor, glyphs, canvas)


def _paint_curves(view: View, raster: Raster, layout: Layout, canvas: Canvas) -> None:
    rows = slice(layout.top, layout.top + layout.height)
    columns = slice(layout.left, layout.left + layout.width)
    canvas.characters[rows, columns] = raster.characters
    places = np.array([view.ink_place(index) for index in range(len(view.series))], dtype=np.int64)
    owners = places[np.maximum(raster.owner, 0)]
    inks = np.where(raster.inside, _AREA_IDS[owners], _SERIES_IDS[owners])
    canvas.inks[rows, columns] = np.where(raster.owner >= 0, inks, 0)


def _paint_axis(
    settings: Settings, layout: Layout, top_value: float | None, glyphs: Glyphs, canvas: Canvas
) -> None:
    if not layout.left:
        return
    rows = slice(layout.top, layout.top + layout.height)
    canvas.characters[rows, layout.left - 1] = ord(glyphs.axis)
    canvas.inks[rows, layout.left - 1] = INK_IDS[Ink.FAINT]
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
    last = (Detail.VALUES, Detail.NAMES) if view.cursor_s is not None else (Detail.NAMES,)
    for detail in (Detail.FULL, Detail.CURVES, Detail.SHORT, *last):
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
    detail: Detail,
) -> Line:
    entries: list[Line] = []
    for index, series in enumerate(view.series):
        value = (
            sampled.value_at(index, cursor)
            if view.cursor_s is not None
            else series.last(view.end_s, view.span_s)
        )
        name = "" if detail is Detail.VALUES else f" {series.name}"
        whole = detail in (Detail.FULL, Detail.CURVES)
        text = settings.unit.text(value) if whole else settings.unit.short(value)
        entries.append(
            Line.of(
                Piece(_pen(series.stroke, index, glyphs), SERIES_INKS[view.ink_place(index)]),
                Piece(name, Ink.MUTED),
                Piece("" if detail is Detail.NAMES else f" {text}", Ink.STRONG),
            )
        )
    for threshold in view.thresholds if detail is Detail.FULL else ():
        sign = glyphs.arrow_up if threshold.value > top_value else glyphs.threshold_line
        limit = f" {threshold.label} {settings.unit.axis(threshold.value)}"
        entries.append(Line.of(Piece(sign + limit, threshold.ink)))
    return joined(entries, Line.of(Piece("  ")))


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
