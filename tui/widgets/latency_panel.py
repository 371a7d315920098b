"""The latency panel: the table of percentiles, and the recent p95 of TTFT and TPOT over time."""

from collections.abc import Sequence

from ..drawing.chart_view import Series, Settings, Stroke, Threshold
from ..state.moment import Moment
from ..style.formatting import MILLISECONDS
from ..views.latency import latency_view
from ..views.panel import PanelView, Room
from .figures_panel import FiguresPanel, Timeline


class LatencyPanel(FiguresPanel):
    """The table first; the chart where there is room for both."""

    chart_settings = Settings(
        unit=MILLISECONDS, logarithmic=True, empty="no request has finished yet"
    )

    def view(self, moment: Moment, room: Room) -> PanelView:
        return latency_view(moment, room)

    def curves(self, timeline: Timeline) -> Sequence[Series]:
        return (
            timeline.curve("ttft_p95_ms", "TTFT p95 (10s)"),
            timeline.curve("tpot_p95_ms", "TPOT p95 (10s)", stroke=Stroke.DASHED),
        )

    def thresholds(self, moment: Moment) -> Sequence[Threshold]:
        limits = (("SLO TTFT", moment.slo_ttft_ms), ("SLO TPOT", moment.slo_tpot_ms))
        return [Threshold(limit, name) for name, limit in limits if limit is not None]
