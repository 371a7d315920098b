"""The base of the Live tab's panels: lines of figures, and a chart of the history where it fits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult

from ..drawing.chart_view import Mark, Pick, Series, Settings, Stroke, Threshold
from ..drawing.segments import Line, Piece
from ..state.history import History
from ..state.moment import Moment
from ..style.look import Ink
from ..style.theme import look_of
from ..views.panel import PanelView, Room
from .lines import LinesView
from .panel import Panel

if TYPE_CHECKING:
    from .chart import BrailleChart

MIN_CHART_ROWS = 3
MARK_INKS = {"switch": Ink.MARK, "fault": Ink.BAD}


@dataclass(frozen=True, slots=True)
class Timeline:
    """The stretch of the history that every chart shows. `cursor_s` is `None` while live."""

    history: History
    now_s: float
    end_s: float
    span_s: float
    cursor_s: float | None = None

    def curve(
        self,
        column: str,
        name: str,
        *,
        stroke: Stroke = Stroke.LINE,
        pick: Pick = Pick.MEAN,
        ink: int | None = None,
    ) -> Series:
        """A column of the history as a curve."""
        kept = self.history.series(column, self.end_s - self.span_s, self.end_s)
        return Series(name, kept.times_s, kept.values, stroke, pick, ink)

    def marks(self) -> list[Mark]:
        return [
            Mark(mark.wall_s, mark.label, MARK_INKS[mark.kind])
            for mark in self.history.marks(self.end_s - self.span_s, self.end_s)
        ]


class FiguresPanel(Panel, can_focus=True):
    """A framed panel that draws a `PanelView`, and the curves that a subclass names.

    With `chart_settings` it has a chart: below its lines, or above them with `chart_first`. It is
    made once there is something to draw.
    """

    DEFAULT_CSS = """
    FiguresPanel LinesView { height: 1; }
    FiguresPanel BrailleChart { height: 1fr; }
    """

    chart_settings: ClassVar[Settings | None] = None
    chart_first: ClassVar[bool] = False

    _shown: tuple[Moment, Timeline] | None = None
    _chart: "BrailleChart | None" = None

    def compose(self) -> ComposeResult:
        yield LinesView()

    def view(self, moment: Moment, room: Room) -> PanelView:
        """What the panel says at a moment."""
        raise TypeError(f"{type(self).__name__} has no view")

    def curves(self, timeline: Timeline) -> Sequence[Series]:
        """What its chart draws."""
        return ()

    def thresholds(self, moment: Moment) -> Sequence[Threshold]:
        """Levels that its chart compares with."""
        return ()

    def text_rows(self, view: PanelView, height: int) -> int:
        """How many of `height` rows the text takes; a chart gets the rest if it is enough."""
        return len(view.lines)

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
        view = self.view(moment, Room(width, height, look_of(self.app).glyphs))
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
        shown = list(lines[:rows])
        widget.set_lines(shown + [Line()] * (rows - len(shown)))

    def _make_chart(self, settings: Settings) -> "BrailleChart":
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
    return Line.of(*(Piece(text, Ink.FAINT) for text, _ in figures.pieces))
