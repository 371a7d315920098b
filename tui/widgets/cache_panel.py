"""The cache panel: KV blocks, and the hit rates of the prefix and response caches over time."""

from collections.abc import Sequence

from ..drawing.chart_view import Series, Settings, Stroke
from ..state.moment import Moment
from ..style.formatting import FRACTION
from ..views.cache import cache_view
from ..views.panel import PanelView, Room
from .figures_panel import MIN_CHART_ROWS, FiguresPanel, Timeline

ROWS_WITH_KV = 12
"""Below this height only hit rates are drawn: the bar above says how full the cache is."""


class CachePanel(FiguresPanel):
    """What holds the blocks, then how often the caches hit."""

    chart_settings = Settings(unit=FRACTION, top=1.0, empty="nothing looked up yet")

    def view(self, moment: Moment, room: Room) -> PanelView:
        return cache_view(moment, room)

    def text_rows(self, view: PanelView, height: int) -> int:
        """The last line gives way where a row is all that the chart lacks."""
        rows = len(view.lines)
        return rows - 1 if height - rows == MIN_CHART_ROWS - 1 else rows

    def curves(self, timeline: Timeline) -> Sequence[Series]:
        hits = (
            timeline.curve("response_hits", "response (10s)"),
            timeline.curve("prefix_hits", "prefix (10s)", stroke=Stroke.DASHED),
        )
        if self.size.height < ROWS_WITH_KV:
            return hits
        return (*hits, timeline.curve("kv_used", "KV in use", stroke=Stroke.DOTTED, ink=3))
