"""A line chart over time in braille, repainting only the cells that changed."""

import math
from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from ..drawing.braille import Raster
from ..drawing.canvas import HIGHLIGHT, INKS, Canvas
from ..drawing.chart_data import ChartContent, ChartSettings, Heat, Mark, Series, Threshold
from ..drawing.chart_layout import ChartLayout, Sampled
from ..drawing.chart_painter import Painter, draw_curves
from ..drawing.heat import ColumnCounts
from ..drawing.scale import Extent, LinearScale, LogScale, Scale
from ..style.inks import Palette
from .themed import ThemedWidget

LONG_SPANS_S = (60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21_600.0, 43_200.0, 86_400.0)
"""What a chart of a whole session spans: steps, so that it does not creep at every tick."""


class BrailleChart(ThemedWidget):
    """Curves over a true time base, with marks, thresholds and a cursor.

    Hand it everything it shows with `set_data`, as often as you like: only cells that differ
    from the last time are sent to the terminal. `now_s` and all times are on one clock, which
    `ChartSettings.clock` turns into text.
    """

    DEFAULT_CSS = """
    BrailleChart { height: 1fr; width: 1fr; min-height: 1; }
    """

    class Clicked(Message):
        """A moment was clicked, `time_s` on the clock of the history."""

        def __init__(self, time_s: float) -> None:
            super().__init__()
            self.time_s = time_s

    def __init__(
        self,
        settings: ChartSettings | None = None,
        *,
        id: str | None = None,  # noqa: A002 (Textual's name for it)
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.settings = settings or ChartSettings()
        self._content: ChartContent | None = None
        self._canvas = Canvas.blank(0, 0)
        self._scale = _scale_for(self.settings)
        self._styles: list[Style] = []
        self._raster: Raster | None = None
        self._drawn: Sampled | None = None
        self._drawn_for: object = None
        self._columns: ColumnCounts | None = None
        self._columns_of: object = None

    def set_data(
        self,
        series: Sequence[Series],
        *,
        now_s: float,
        span_s: float,
        end_s: float | None = None,
        marks: Sequence[Mark] = (),
        thresholds: Sequence[Threshold] = (),
        cursor_s: float | None = None,
        heat: Heat | None = None,
    ) -> None:
        """Show `span_s` of time up to `end_s` (`None`: up to now). An infinite span shows all."""
        end = now_s if end_s is None else end_s
        self._content = ChartContent(
            series=tuple(series),
            now_s=now_s,
            span_s=span_s if math.isfinite(span_s) else _whole_span(series, end),
            end_s=end,
            marks=tuple(marks),
            thresholds=tuple(thresholds),
            cursor_s=cursor_s,
            heat=heat,
        )
        self._repaint()

    @property
    def step_s(self) -> float | None:
        """The time that one column spans: a step of the cursor."""
        if self._content is None or not self.size.width:
            return None
        return self._content.span_s / self._layout().width

    def forget_scale(self) -> None:
        """Let the value axis fit the next data at once, after a change of what is shown."""
        self._scale.forget()

    def render_line(self, y: int) -> Strip:
        canvas = self._canvas
        if y >= canvas.height:
            return Strip.blank(self.size.width, self.backdrop)
        styles = self._ink_styles(self.backdrop)
        segments = [Segment(text, styles[ink]) for text, ink in canvas.runs(y)]
        return Strip(segments, canvas.width)

    def on_resize(self, _event: events.Resize) -> None:
        self._repaint()

    def on_click(self, event: events.Click) -> None:
        """Tell which moment was clicked: that of the mark where there is one."""
        content, layout = self._content, self._layout()
        column = event.x - layout.left
        if content is None or self.settings.places or not 0 <= column < layout.width:
            return
        event.stop()
        step_s = content.span_s / layout.width
        begin_s = content.end_s - content.span_s
        at_s = begin_s + (column + 0.5) * step_s
        marked = [mark.time_s for mark in content.marks if abs(mark.time_s - at_s) <= step_s]
        nearest_s = min(marked, key=lambda time_s: abs(time_s - at_s), default=at_s)
        self.post_message(self.Clicked(nearest_s))

    def on_hide(self) -> None:
        """What is visible when it is shown again may be quite another thing."""
        self.forget_scale()

    def palette_changed(self) -> None:
        self._styles = []
        self._repaint()

    def _layout(self) -> ChartLayout:
        content = self._content
        curves = len(content.series) if content is not None else 0
        return ChartLayout.fit(
            self.size.width,
            self.size.height,
            named=curves > 1 or self.settings.named,
            marked=content is not None and bool(content.marks),
        )

    def _repaint(self) -> None:
        """Paint anew and have the terminal repaint what differs."""
        width, height = self.size
        if not width or not height:
            return
        canvas = Canvas.blank(width, height)
        if self._content is not None:
            self._paint(self._content, canvas)
        before, self._canvas = self._canvas, canvas
        if before.characters.shape != canvas.characters.shape:
            self.refresh()
        elif regions := canvas.changed_since(before):
            self.refresh(*regions)

    def _paint(self, content: ChartContent, canvas: Canvas) -> None:
        layout, glyphs = self._layout(), self.palette.glyphs
        sampled = Sampled.of(
            content, layout.width, self.settings.gap_s, timed=not self.settings.places
        )
        columns = self._heat_columns(content, sampled)
        extent = self._axis_extent(content, sampled, columns)
        axis = self._scale.axis(extent, content.now_s)
        strokes = tuple(series.stroke for series in content.series)
        drawn_for = (layout, axis, strokes, glyphs.unicode)
        if self._raster is None or drawn_for != self._drawn_for or not sampled.same_as(self._drawn):
            self._raster = draw_curves(content, sampled, layout, axis, glyphs)
            self._drawn, self._drawn_for = sampled, drawn_for
        painter = Painter(
            content, sampled, self._raster, self.settings, layout, axis, glyphs, columns
        )
        painter.paint(canvas)

    def _heat_columns(self, content: ChartContent, sampled: Sampled) -> ColumnCounts | None:
        """The heat cut into columns, anew where it or they have changed."""
        heat = content.heat
        if heat is None:
            return None
        counted = (sampled.base, heat.version)
        if self._columns is None or counted != self._columns_of:
            self._columns, self._columns_of = ColumnCounts.of(heat, sampled.base), counted
        return self._columns

    def _axis_extent(
        self, content: ChartContent, sampled: Sampled, columns: ColumnCounts | None
    ) -> Extent | None:
        """What the value axis has to hold. A logarithmic one has room for the thresholds too."""
        extent = sampled.extent
        hot = columns.extent if columns is not None else None
        if hot is not None:
            extent = hot if extent is None else extent.including([hot.lowest, hot.highest])
        if extent is None or not self.settings.logarithmic:
            return extent
        return extent.including([threshold.value for threshold in content.thresholds])

    def _ink_styles(self, backdrop: Style) -> list[Style]:
        """Styles by ink id, as the canvas counts them."""
        if not self._styles or self._styles[-1] != backdrop:
            self._styles = _styles_of(self.palette, backdrop)
        return self._styles


def _scale_for(settings: ChartSettings) -> Scale:
    if settings.logarithmic:
        return LogScale()
    return LinearScale(settings.top, settings.least_top)


def _styles_of(palette: Palette, backdrop: Style) -> list[Style]:
    styles = [backdrop] * 256
    for index, ink in enumerate(INKS):
        styles[index] = backdrop + palette.styles[ink]
        styles[index | HIGHLIGHT] = styles[index] + palette.cursor_column
    return styles


def _whole_span(series: Sequence[Series], end_s: float) -> float:
    """A round span that holds all the data up to `end_s`."""
    oldest = min((float(curve.times_s[0]) for curve in series if len(curve.times_s)), default=end_s)
    for span_s in LONG_SPANS_S:
        if end_s - oldest <= span_s:
            return span_s
    return math.ceil((end_s - oldest) / LONG_SPANS_S[-1]) * LONG_SPANS_S[-1]
