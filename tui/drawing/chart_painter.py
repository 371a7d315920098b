"""Paints a chart onto a canvas: curves, axes, thresholds, marks, cursor, legend."""

from dataclasses import dataclass

import numpy as np

from ..style.formatting import clip, span
from ..style.glyphs import Glyphs
from ..style.inks import AREA_INKS, SERIES_INKS, Ink
from .axis import Axis
from .braille import DOTS_HIGH, Raster, Trace, rasterize
from .canvas import HIGHLIGHT, INK_IDS, Canvas
from .chart_data import ChartContent, ChartSettings, Mark
from .chart_layout import AXIS_LABEL_WIDTH, ChartLayout, Sampled
from .heat import ColumnCounts
from .legend import fitting_legend
from .line import Line

MARK_LABEL_MIN_ROWS = 4
"""In lower plots a mark is its line alone: a label would hide the curves."""

_SERIES_IDS = np.array([INK_IDS[ink] for ink in SERIES_INKS], dtype=np.uint8)
_AREA_IDS = np.array([INK_IDS[ink] for ink in AREA_INKS], dtype=np.uint8)
_SPACE = ord(" ")

DENSE = 0.5
"""From this density on a shade has the colour of a curve, below that of an area's inside."""


def draw_curves(
    content: ChartContent, sampled: Sampled, layout: ChartLayout, axis: Axis, glyphs: Glyphs
) -> Raster:
    """The curves alone, as cells of the plot."""
    traces = [
        Trace(levels, series.stroke)
        for series, levels in zip(content.series, sampled.levels, strict=True)
    ]
    return rasterize(traces, sampled.base, layout.height, axis, unicode=glyphs.unicode)


@dataclass(frozen=True, slots=True)
class Painter:
    """Everything a chart is painted from."""

    content: ChartContent
    sampled: Sampled
    raster: Raster
    settings: ChartSettings
    layout: ChartLayout
    axis: Axis
    glyphs: Glyphs
    columns: ColumnCounts | None = None

    def paint(self, canvas: Canvas) -> None:
        """Paint the whole chart onto a blank canvas."""
        cursor = self._cursor_column()
        self._axis_line(canvas)
        if self.sampled.extent is None and (self.columns is None or self.columns.extent is None):
            self._empty(canvas)
        else:
            self._ticks(canvas)
            self._curves(canvas)
            self._thresholds(canvas)
        self._marks(canvas)
        if cursor is not None:
            self._cursor(canvas, cursor)
        if self.layout.time_row is not None:
            if self.settings.places:
                self._places(canvas, self.layout.time_row)
            else:
                self._times(canvas, self.layout.time_row, cursor)
        if self.layout.legend_row is not None:
            left = self.layout.left
            legend = self._legend(cursor, self.layout.width)
            if not legend.pieces:
                left, legend = 0, self._legend(cursor, canvas.width)
            canvas.write_line(left, self.layout.legend_row, legend)

    def _cursor_column(self) -> int | None:
        moment = self.content.cursor_s
        return None if moment is None else self.sampled.base.column_of(moment)

    def _axis_line(self, canvas: Canvas) -> None:
        if self.layout.left:
            column = self.layout.left - 1
            canvas.characters[self.layout.rows, column] = ord(self.glyphs.axis)
            canvas.inks[self.layout.rows, column] = INK_IDS[Ink.FAINT]

    def _empty(self, canvas: Canvas) -> None:
        text = self.settings.empty[: self.layout.width]
        x = self.layout.left + (self.layout.width - len(text)) // 2
        canvas.write(x, self.layout.top + (self.layout.height - 1) // 2, text, Ink.MUTED)

    def _ticks(self, canvas: Canvas) -> None:
        for value, row in self.axis.ticks(self.layout.height, self._row_of):
            self._tick(canvas, value, row, Ink.MUTED)

    def _row_of(self, value: float) -> int:
        """The row of the plot that a value lies in, counted from the top."""
        dot = round(self.axis.height(value) * (self.layout.height * DOTS_HIGH - 1))
        return self.layout.height - 1 - dot // DOTS_HIGH

    def _tick(self, canvas: Canvas, value: float, row: int, ink: Ink) -> None:
        """Label a row of the plot with a value, where there is an axis."""
        if not self.layout.left:
            return
        label = self.settings.unit.axis(value).rjust(AXIS_LABEL_WIDTH)
        y = self.layout.top + row
        canvas.write(self.layout.left - 1 - len(label), y, label, ink)
        canvas.write(self.layout.left - 1, y, self.glyphs.tick, Ink.FAINT)

    def _curves(self, canvas: Canvas) -> None:
        area = self.layout.rows, self.layout.columns
        canvas.characters[area] = self.raster.characters
        places = [self.content.ink_place(index) for index in range(len(self.content.series))]
        owners = np.array(places, dtype=np.int64)[np.maximum(self.raster.owner, 0)]
        inks = np.where(self.raster.inside, _AREA_IDS[owners], _SERIES_IDS[owners])
        canvas.inks[area] = np.where(self.raster.owner >= 0, inks, 0)
        if self.columns is not None:
            self._heat(canvas, self.columns)

    def _heat(self, canvas: Canvas, columns: ColumnCounts) -> None:
        """Shades where no curve runs."""
        area = self.layout.rows, self.layout.columns
        shades, density = columns.shades(self.axis, self.layout.height, self.glyphs)
        free = (self.raster.owner < 0) & (density > 0)
        place = columns.heat.ink % len(_SERIES_IDS)
        inks = np.where(density > DENSE, _SERIES_IDS[place], _AREA_IDS[place])
        canvas.characters[area][free] = shades[free]
        canvas.inks[area][free] = inks[free]

    def _thresholds(self, canvas: Canvas) -> None:
        for threshold in self.content.thresholds:
            if not self.axis.holds(threshold.value):
                continue
            row = self._row_of(threshold.value)
            cells = self.layout.top + row, self.layout.columns
            blank = canvas.characters[cells] == _SPACE
            canvas.characters[cells][blank] = ord(self.glyphs.threshold_line)
            canvas.inks[cells][blank] = INK_IDS[threshold.ink]
            if blank[: len(threshold.label) + 2].all():
                x = self.layout.left + 1
                canvas.write(x, self.layout.top + row, threshold.label, threshold.ink)
            self._tick(canvas, threshold.value, row, threshold.ink)

    def _marks(self, canvas: Canvas) -> None:
        """Newest first: where labels meet, the older one is cut."""
        end = limit = self.layout.left + self.layout.width
        for mark in sorted(self.content.marks, key=lambda mark: mark.time_s, reverse=True):
            column = self.sampled.base.column_of(mark.time_s)
            if column is None:
                continue
            x = self.layout.left + column
            self._mark_line(canvas, x, mark)
            if self.layout.height >= MARK_LABEL_MIN_ROWS and x < limit:
                start, label = self._mark_label(mark, x, limit, first=limit == end)
                canvas.write(start, self.layout.top, label, mark.ink)
                limit = start - 1

    def _mark_line(self, canvas: Canvas, x: int, mark: Mark) -> None:
        cells = self.layout.rows, x
        drawn = canvas.characters[cells]
        blank = (drawn == _SPACE) | (drawn == ord(self.glyphs.threshold_line))
        canvas.characters[cells][blank] = ord(self.glyphs.mark_line)
        canvas.inks[cells][blank] = INK_IDS[mark.ink]

    def _mark_label(self, mark: Mark, x: int, limit: int, *, first: bool) -> tuple[int, str]:
        """Where a mark's label starts, and the label: right of its line, cut at `limit`. The
        newest one turns to the left when it would cross the right edge."""
        cells = limit - x - 1
        if first and len(mark.label) > cells:
            start = max(self.layout.left, x - len(mark.label))
            return start, mark.label[: x - start] + self.glyphs.mark
        text = clip(mark.label, cells, ellipsis=self.glyphs.ellipsis) if cells >= 3 else ""
        return x, self.glyphs.mark + text

    def _cursor(self, canvas: Canvas, column: int) -> None:
        cells = self.layout.rows, self.layout.left + column
        blank = canvas.characters[cells] == _SPACE
        canvas.characters[cells][blank] = ord(self.glyphs.cursor_line)
        canvas.inks[cells][blank] = INK_IDS[Ink.CURSOR]
        canvas.inks[cells] |= HIGHLIGHT

    def _times(self, canvas: Canvas, y: int, cursor: int | None) -> None:
        """The time axis; where there is no row for a legend, it shares this one."""
        content, clock = self.content, self.settings.clock
        live = content.end_s >= content.now_s
        left = f"-{span(content.span_s)}" if live else clock(content.end_s - content.span_s)
        right = "now" if live else clock(content.end_s)
        begin, end = self.layout.left, self.layout.left + self.layout.width
        legend_cells = range(begin + len(left) + 2, end - len(right) - 2)
        cursor_time = "" if cursor is None or content.cursor_s is None else clock(content.cursor_s)
        at = min(max(begin, begin + (cursor or 0) - len(cursor_time) // 2), end - len(cursor_time))
        if cursor_time:
            before, after = range(begin, at - 1), range(at + len(cursor_time) + 1, end)
            legend_cells = before if len(before) > len(after) else after
        legend = Line()
        if self.layout.legend_row is None:
            legend = self._legend(cursor, len(legend_cells))
        occupied = [range(at, at + len(cursor_time))] if cursor_time else []
        if legend.pieces:
            x = legend_cells.start + (len(legend_cells) - legend.width) // 2
            canvas.write_line(x, y, legend)
            occupied.append(range(x, x + legend.width))
        canvas.write(at, y, cursor_time, Ink.CURSOR)
        for x, text in ((begin, left), (end - len(right), right)):
            if not any(x <= cells.stop and cells.start <= x + len(text) for cells in occupied):
                canvas.write(x, y, text, Ink.MUTED)

    def _places(self, canvas: Canvas, y: int) -> None:
        """The labels of an axis that is not time, the later ones only where they have room."""
        next_free = begin = self.layout.left
        end = begin + self.layout.width
        for place in self.settings.places:
            column = self.sampled.base.column_of(place.at)
            if column is None:
                continue
            x = min(max(begin, begin + column - len(place.label) // 2), end - len(place.label))
            if x >= next_free:
                canvas.write(x, y, place.label, Ink.MUTED)
                next_free = x + len(place.label) + 1

    def _legend(self, cursor: int | None, width: int) -> Line:
        content = self.content
        values = [
            series.last(content.end_s, content.span_s)
            if content.cursor_s is None
            else self.sampled.value_at(index, cursor)
            for index, series in enumerate(content.series)
        ]
        unit, glyphs = self.settings.unit, self.glyphs
        timed = not self.settings.places
        return fitting_legend(content, values, unit, self.axis.high, glyphs, width, timed=timed)
