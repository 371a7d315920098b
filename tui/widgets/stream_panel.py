"""The stream panel: one request's text as its client receives it."""

from ..state.moment import Moment
from ..views.panel import PanelView, Room
from ..views.stream import stream_view
from .figures_panel import FiguresPanel


class StreamPanel(FiguresPanel):
    """The followed request."""

    def view(self, moment: Moment, room: Room) -> PanelView:
        return stream_view(moment, room)
