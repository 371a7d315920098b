"""The panels of the Live tab: lines of figures, and a chart of the history where it fits."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult

from ..drawing.chart_data import ChartSettings, Series, Stroke, Threshold
from ..drawing.line import Line, Piece
from ..state.moment import Moment
from ..state.playhead import Timeline
from ..style.formatting import COUNT, FRACTION, MILLISECONDS
from ..style.inks import Ink
from ..style.theme import palette_of
from ..views.cache import NO_CACHE, cache_view
from ..views.controls import CACHING
from ..views.gpu import device_view
from ..views.latency import latency_view, limit_lines
from ..views.panel import PanelView, Room
from ..views.queue import queue_view
from ..views.stream import stream_view
from ..views.throughput import throughput_view
from .lines import LinesView
from .panel import Panel

if TYPE_CHECKING:
    from .chart import BrailleChart

MIN_CHART_ROWS = 3
THROUGHPUT_ROWS_WITH_TEXT = 7
"""From this height on there is a line of figures below the chart."""
THROUGHPUT_ROWS_WITH_PREFILL = 9
"""Below this height only generated tokens are drawn: prompt tokens are several times as many, and
would press them flat."""
CACHE_ROWS_WITH_KV = 12
"""Below this height only hit rates are drawn: the bar above says how full the cache is."""


class LivePanel(Panel, can_focus=True):
    """A framed panel that draws a `PanelView`, and the curves that a subclass names.

    With `chart_settings` it has a chart: below its lines, or above them with `chart_first`. It is
    made once there is something to draw.
    """

    DEFAULT_CSS = """
    LivePanel LinesView { height: 1; }
    LivePanel BrailleChart { height: 1fr; }
    """

    chart_settings: ClassVar[ChartSettings | None] = None
    chart_first: ClassVar[bool] = False

    _shown: tuple[Moment, Timeline] | None = None
    _chart: "BrailleChart | None" = None

    @staticmethod
    def view(moment: Moment, room: Room) -> PanelView:
        """What the panel says at a moment."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        yield LinesView()

    def curves(self, timeline: Timeline) -> Sequence[Series]:
        """What its chart draws."""
        return ()

    def thresholds(self, moment: Moment) -> Sequence[Threshold]:
        """Levels that its chart compares with."""
        return ()

    def text_rows(self, view: PanelView, height: int) -> int:
        """How many of `height` rows the text takes; a chart gets the rest if it is enough."""
        return len(view.lines)

    def nothing_to_draw(self, moment: Moment) -> str | None:
        """What its chart says while it is empty, where that depends on the moment."""
        return None

    @property
    def step_s(self) -> float | None:
        """The time that a column of its chart spans; `None` without a chart."""
        return self._chart.step_s if self._chart is not None else None

    def on_resize(self) -> None:
        """The same moment in the new room."""
        if self._shown is not None:
            self.show(*self._shown)

    def show(self, moment: Moment, timeline: Timeline) -> None:
        """Draw a moment. Only what changed is repainted."""
        self._shown = (moment, timeline)
        width, height = self.size
        if not self.display or width <= 0 or height <= 0:
            return
        view = self.view(moment, Room(width, height, palette_of(self.app).glyphs))
        self.set_title(view.title)
        self.set_headline(_faded(view.figures) if view.stale else view.figures)
        rows = min(height, self.text_rows(view, height))
        settings = self.chart_settings
        if settings is None or moment.frame is None or height - rows < MIN_CHART_ROWS:
            self._show_lines(view.lines, height)
            self._hide_chart()
        else:
            self._show_lines(view.lines, rows)
            self._show_chart(self._chart or self._make_chart(settings), moment, timeline)

    def _show_lines(self, lines: Sequence[Line], rows: int) -> None:
        widget = self.query_one(LinesView)
        if widget.display != (rows > 0):
            widget.display = rows > 0
        height = widget.styles.height
        if height is None or height.value != rows:
            widget.styles.height = rows
        visible = list(lines[:rows])
        widget.set_lines(visible + [Line()] * (rows - len(visible)))

    def _make_chart(self, settings: ChartSettings) -> "BrailleChart":
        # Here and not above: charts draw with numpy, and the first frame need not wait for it.
        from .chart import BrailleChart

        self._chart = BrailleChart(settings)
        self.mount(self._chart, before=0 if self.chart_first else None)
        return self._chart

    def _hide_chart(self) -> None:
        if self._chart is not None and self._chart.display:
            self._chart.display = False

    def _show_chart(self, chart: "BrailleChart", moment: Moment, timeline: Timeline) -> None:
        if not chart.display:
            chart.display = True
        settings = self.chart_settings or chart.settings
        chart.settings = replace(settings, empty=self.nothing_to_draw(moment) or settings.empty)
        chart.set_data(
            self.curves(timeline),
            now_s=timeline.now_s,
            span_s=timeline.span_s,
            end_s=timeline.end_s,
            marks=timeline.marks(),
            thresholds=self.thresholds(moment),
            cursor_s=timeline.cursor_s,
        )


def _faded(figures: Line) -> Line:
    """Key figures that are no longer current do not look as if they were."""
    return Line.of(*(Piece(piece.text, Ink.FAINT) for piece in figures.pieces))


class ThroughputPanel(LivePanel):
    """Tokens per second: decode as an area; prefill as a line where there is room. Cached tokens
    are no work, and many times as many: they are a figure below."""

    view = staticmethod(throughput_view)
    chart_settings = ChartSettings(empty="no tokens yet")
    chart_first = True

    def text_rows(self, view: PanelView, height: int) -> int:
        return len(view.lines) if height >= THROUGHPUT_ROWS_WITH_TEXT else 0

    def curves(self, timeline: Timeline) -> Sequence[Series]:
        decode = timeline.curve("decode_tok_s", "decode", stroke=Stroke.AREA)
        if self.size.height < THROUGHPUT_ROWS_WITH_PREFILL:
            return (decode,)
        return (decode, timeline.curve("prefill_tok_s", "prefill"))


class LatencyPanel(LivePanel):
    """The table of percentiles first; the recent p95 of TTFT and TPOT where there is room."""

    view = staticmethod(latency_view)
    chart_settings = ChartSettings(
        unit=MILLISECONDS, logarithmic=True, empty="no request has finished yet"
    )

    def curves(self, timeline: Timeline) -> Sequence[Series]:
        return (
            timeline.curve("ttft_p95_ms", "TTFT p95 (10s)"),
            timeline.curve("tpot_p95_ms", "TPOT p95 (10s)", stroke=Stroke.DASHED),
        )

    def thresholds(self, moment: Moment) -> Sequence[Threshold]:
        return limit_lines(moment)


class GpuPanel(LivePanel):
    """GPUs, or the CPU where there are none: memory, use, power and clocks; with room to spare,
    use over time."""

    view = staticmethod(device_view)
    chart_settings = ChartSettings(unit=FRACTION, top=1.0, empty="no sample yet")

    def curves(self, timeline: Timeline) -> Sequence[Series]:
        curves = (
            timeline.curve("gpu", "GPU busy", ink=0),
            timeline.curve("mbu", "MBU", stroke=Stroke.DASHED, ink=1),
            timeline.curve("cpu", "CPU", stroke=Stroke.DOTTED, ink=2),
        )
        return [curve for curve in curves if not curve.is_empty]


class CachePanel(LivePanel):
    """What holds the KV blocks, then how often the prefix and the response cache hit."""

    view = staticmethod(cache_view)
    chart_settings = ChartSettings(unit=FRACTION, top=1.0, empty="nothing looked up yet")

    def nothing_to_draw(self, moment: Moment) -> str | None:
        serving = moment.frame
        return NO_CACHE if serving is not None and serving.strategy not in CACHING else None

    def text_rows(self, view: PanelView, height: int) -> int:
        """The last line gives way where a row is all that the chart lacks."""
        rows = len(view.lines)
        return rows - 1 if height - rows == MIN_CHART_ROWS - 1 else rows

    def curves(self, timeline: Timeline) -> Sequence[Series]:
        hits = (
            timeline.curve("response_hits", "response (10s)"),
            timeline.curve("prefix_hits", "prefix (10s)", stroke=Stroke.DASHED),
        )
        if self.size.height < CACHE_ROWS_WITH_KV:
            return hits
        return (*hits, timeline.curve("kv_used", "KV in use", stroke=Stroke.DOTTED, ink=3))


class QueuePanel(LivePanel):
    """Who is in the system, and how many of them run."""

    view = staticmethod(queue_view)
    chart_settings = ChartSettings(unit=COUNT, least_top=3.5, empty="no request yet")

    def curves(self, timeline: Timeline) -> Sequence[Series]:
        # The line last: it lies on the area where all that are in the system run.
        return (
            timeline.curve("running", "running", stroke=Stroke.AREA, ink=0),
            timeline.curve("in_system", "in system", ink=2),
        )


class StreamPanel(LivePanel):
    """The followed request's text as its client receives it."""

    view = staticmethod(stream_view)
