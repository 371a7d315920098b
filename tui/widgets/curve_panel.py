"""A panel with one chart over places, such as numbers of GPUs, and a cursor to read it with."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.message import Message

from ..drawing.chart_data import ChartSettings, Place
from ..style.formatting import NUMBER, Unit
from ..views.panel import CurvesView
from .panel import Panel

if TYPE_CHECKING:
    from .chart import BrailleChart

MARGIN = 0.35
"""Room beside the first and the last place, in steps of the axis."""


class CurvePanel(Panel, can_focus=True):
    """A chart with an axis of places. While it has the focus ← and → read its values place by
    place, and escape ends that."""

    BINDINGS = [
        ("left", "read(-1)"),
        ("right", "read(1)"),
        ("escape", "read(0)"),
    ]

    def __init__(
        self,
        places: tuple[Place, ...],
        *,
        unit: Unit = NUMBER,
        top: float | None = None,
        logarithmic: bool = False,
        id: str | None = None,  # noqa: A002 (Textual's name for it)
    ) -> None:
        super().__init__(id=id)
        self._settings = ChartSettings(
            unit=unit,
            top=top,
            logarithmic=logarithmic,
            places=places,
            gap_s=1.5,
            empty="this layout runs on no such cluster",
        )
        self._chart: BrailleChart | None = None
        self._view: CurvesView | None = None
        self._read: int | None = None

    class Resized(Message):
        """There is room where there may have been none."""

        def __init__(self, panel: "CurvePanel") -> None:
            super().__init__()
            self.panel = panel

    def on_resize(self) -> None:
        self.post_message(self.Resized(self))

    def compose(self) -> ComposeResult:
        # Here and not above: charts draw with numpy, which takes long to import.
        from .chart import BrailleChart

        self._chart = BrailleChart(self._settings)
        yield self._chart

    def show(self, view: CurvesView) -> None:
        """Draw curves: only cells that differ are repainted."""
        self._view = view
        self.set_title(view.title)
        if self._chart is not None:
            self._chart.forget_scale()
            self._draw(self._chart, view)

    def action_read(self, step: int) -> None:
        """The cursor a place on or back, from the last place at first; with 0 it goes away."""
        places = self._settings.places
        if step == 0:
            self._read = None
        elif self._read is None:
            self._read = 0 if step > 0 else len(places) - 1
        else:
            self._read = min(max(0, self._read + step), len(places) - 1)
        if self._chart is not None and self._view is not None:
            self._draw(self._chart, self._view)

    def on_blur(self) -> None:
        self.action_read(0)

    def _draw(self, chart: "BrailleChart", view: CurvesView) -> None:
        read = None if self._read is None else self._settings.places[self._read]
        self.set_headline(view.figures if read is None else view.reading(read.label))
        end = view.last + MARGIN
        chart.set_data(
            view.series,
            now_s=end,
            span_s=view.last + 2 * MARGIN,
            thresholds=view.thresholds,
            marks=view.marks,
            cursor_s=None if read is None else read.at,
        )
