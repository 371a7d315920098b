"""The cache panel: KV blocks, and the hit rates of the prefix and response caches over time."""

from collections.abc import Sequence

from ..formatting import FRACTION
from ..moment import Moment
from ..views.cache import cache_view
from ..views.panel import PanelView, Room
from .chart_view import Series, Settings
from .figures_panel import FiguresPanel, Timeline


class CachePanel(FiguresPanel):
    """What holds the blocks, then how often the caches hit."""

    chart_settings = Settings(unit=FRACTION, top=1.0, empty="nothing looked up yet")

    def view(self, moment: Moment, room: Room) -> PanelView:
        return cache_view(moment, room)

    def curves(self, timeline: Timeline) -> Sequence[Series]:
        return (
            timeline.curve("response_hits", "response (10s)"),
            timeline.curve("prefix_hits", "prefix (10s)"),
            timeline.curve("kv_used", "KV in use", ink=3),
        )
