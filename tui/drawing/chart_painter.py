"""Paints a chart onto a canvas: curves, axes, thresholds, marks, cursor, legend."""

from dataclasses import dataclass

import numpy as np

from ..style.formatting import span
from ..style.glyphs import Glyphs
from ..style.inks import AREA_INKS, SERIES_INKS, Ink
from .axis import Axis
from .braille import DOTS_HIGH, Raster, Trace, rasterize
from .canvas import HIGHLIGHT, INK_IDS, Canvas
from .chart_data import ChartContent, ChartSettings, Mark, Series, Threshold
from .chart_layout import AXIS_LABEL_WIDTH, ChartLayout, Sampled
from .heat import ColumnCounts
from .legend import fitting_legend, pens_of
from .line import Line
from .mark_labels import placed_labels
from .timebase import BUCKETS_PER_CELL, bridge_s

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
        Trace(levels, series.stroke, sampled.peaks[place] if sampled.peaks else None)
        for place, (series, levels) in enumerate(zip(content.series, sampled.levels, strict=True))
    ]
    return rasterize(traces, sampled.base, layout.height, axis, unicode=glyphs.unicode)


def marked_points(content: ChartContent, settings: ChartSettings, glyphs: Glyphs) -> bool:
    """Whether curves have signs at their data points: where places are few and curves several, but
    no more than there are signs."""
    return bool(settings.places) and 1 < len(content.series) <= len(glyphs.markers)


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
            self._markers(canvas)
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
            canvas.inks[self.layout.rows, column] = INK_IDS[Ink.RULE]

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
        canvas.write(self.layout.left - 1, y, self.glyphs.tick, Ink.RULE)

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

    def _markers(self, canvas: Canvas) -> None:
        """A sign at every data point of several curves over places, each curve's own."""
        if not marked_points(self.content, self.settings, self.glyphs):
            return
        for index, series in enumerate(self.content.series):
            sign = self.glyphs.markers[index]
            ink = SERIES_INKS[self.content.ink_place(index)]
            for at, value in zip(series.times_s, series.values, strict=True):
                column = self.sampled.base.column_of(at)
                if column is not None and self.axis.low <= value <= self.axis.high:
                    y = self.layout.top + self._row_of(value)
                    canvas.write(self.layout.left + column, y, sign, ink)

    def _thresholds(self, canvas: Canvas) -> None:
        """A line for each level. Levels that share a row are named together, each with its value,
        for the axis can label but one."""
        by_row: dict[int, list[Threshold]] = {}
        for threshold in self.content.thresholds:
            if self.axis.holds(threshold.value):
                by_row.setdefault(self._row_of(threshold.value), []).append(threshold)
        for row, (first, *others) in by_row.items():
            label = first.label
            if others:
                unit = self.settings.unit
                label = ", ".join(f"{one.label} {unit.axis(one.value)}" for one in (first, *others))
            self._threshold_line(canvas, row, label, first.ink)
            self._tick(canvas, first.value, row, first.ink)

    def _threshold_line(self, canvas: Canvas, row: int, label: str, ink: Ink) -> None:
        """A line through the blank cells of a row, named where it begins if it is free there."""
        cells = self.layout.top + row, self.layout.columns
        blank = canvas.characters[cells] == _SPACE
        canvas.characters[cells][blank] = ord(self.glyphs.threshold_line)
        canvas.inks[cells][blank] = INK_IDS[ink]
        if blank[: len(label) + 2].all():
            canvas.write(self.layout.left + 1, self.layout.top + row, label, ink)

    def _marks(self, canvas: Canvas) -> None:
        """A line for each mark, and its label in the row of labels."""
        columns = [
            (column, mark)
            for mark in self.content.marks
            if (column := self.sampled.base.column_of(mark.time_s)) is not None
        ]
        for column, mark in columns:
            self._mark_line(canvas, self.layout.left + column, mark)
        if self.layout.mark_row is None:
            return
        labels = [(column, mark.label, mark.ink) for column, mark in columns]
        for x, text, ink in placed_labels(labels, self.layout.width, self.glyphs):
            canvas.write(self.layout.left + x, self.layout.mark_row, text, ink)

    def _mark_line(self, canvas: Canvas, x: int, mark: Mark) -> None:
        """Through what is blank and through the inside of areas; curves and edges stay."""
        cells = self.layout.rows, x
        drawn = canvas.characters[cells]
        blank = (drawn == _SPACE) | (drawn == ord(self.glyphs.threshold_line))
        if self.sampled.extent is not None:
            blank |= self.raster.inside[:, x - self.layout.left]
        canvas.characters[cells][blank] = ord(self.glyphs.mark_line)
        canvas.inks[cells][blank] = INK_IDS[mark.ink]

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

    def _reach_s(self, series: Series) -> float:
        """How old a sample may be to be read at the cursor: as far as curves are bridged, and no
        less than a column; places have their own value or none."""
        if self.settings.places:
            return 0.0
        base = self.sampled.base
        column_s = base.bucket_s * BUCKETS_PER_CELL
        return max(column_s, bridge_s(series.times_s, self.settings.gap_s))

    def _legend(self, cursor: int | None, width: int) -> Line:
        content, at_s = self.content, self.content.cursor_s
        values = [
            series.read(content.end_s, content.span_s)
            if at_s is None
            else None
            if cursor is None
            else series.read(at_s, self._reach_s(series))
            for series in content.series
        ]
        unit, glyphs = self.settings.unit, self.glyphs
        timed = not self.settings.places
        pens = pens_of(content, glyphs, marked=marked_points(content, self.settings, glyphs))
        return fitting_legend(
            content, values, unit, self.axis.high, glyphs, width, pens=pens, timed=timed
        )
