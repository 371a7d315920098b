"""A panel with one chart against the number of GPUs, and the figures at one cluster size."""

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.message import Message

from ..formatting import NUMBER, Unit
from ..views.curves import CurvesView
from .chart_view import Place, Settings
from .panel import Panel

if TYPE_CHECKING:
    from .chart import BrailleChart

MARGIN = 0.35
"""Room beside the first and the last place, in steps of the axis."""


class CurvePanel(Panel, can_focus=True):
    """A chart with an axis of places. `places` are its labels."""

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
        self._settings = Settings(
            unit=unit,
            top=top,
            logarithmic=logarithmic,
            places=places,
            gap_s=1.5,
            empty="this layout runs on no such cluster",
        )
        self._chart: BrailleChart | None = None

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
        self.set_title(view.title)
        self.set_headline(view.figures)
        if self._chart is None:
            return
        self._chart.forget_scale()
        end = view.last + MARGIN
        self._chart.set_data(
            view.series,
            now_s=end,
            span_s=view.last + 2 * MARGIN,
            thresholds=view.thresholds,
            marks=view.marks,
        )
