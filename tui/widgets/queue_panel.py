"""The queue panel: requests in the system over time, and the figures behind them."""

from collections.abc import Sequence

from ..drawing.chart_view import Series, Settings, Stroke
from ..state.moment import Moment
from ..style.formatting import COUNT
from ..views.panel import PanelView, Room
from ..views.queue import queue_view
from .figures_panel import FiguresPanel, Timeline


class QueuePanel(FiguresPanel):
    """Who is in the system, and how many of them run."""

    chart_settings = Settings(unit=COUNT, least_top=3.5, empty="no request yet")

    def view(self, moment: Moment, room: Room) -> PanelView:
        return queue_view(moment, room)

    def curves(self, timeline: Timeline) -> Sequence[Series]:
        return (
            timeline.curve("in_system", "in system", ink=2),
            timeline.curve("running", "running", stroke=Stroke.AREA, ink=0),
        )
