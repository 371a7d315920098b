"""The throughput panel: tokens per second by kind over time."""

from collections.abc import Sequence

from ..drawing.chart_view import Series, Settings, Stroke
from ..state.moment import Moment
from ..views.panel import PanelView, Room
from ..views.throughput import throughput_view
from .figures_panel import FiguresPanel, Timeline

ROWS_WITH_TEXT = 7
"""From this height on there is a line of figures below the chart."""
ROWS_WITH_PREFILL = 9
"""Below this height only generated tokens are drawn: prompt tokens are several times as many, and
would press them flat."""


class ThroughputPanel(FiguresPanel):
    """Decode as an area; prefill as a line where there is room. Cached tokens are no work, and many
    times as many: they are a figure below."""

    chart_settings = Settings(empty="no tokens yet")
    chart_first = True

    def view(self, moment: Moment, room: Room) -> PanelView:
        return throughput_view(moment, room)

    def text_rows(self, view: PanelView, height: int) -> int:
        return len(view.lines) if height >= ROWS_WITH_TEXT else 0

    def curves(self, timeline: Timeline) -> Sequence[Series]:
        decode = timeline.curve("decode_tok_s", "decode", stroke=Stroke.AREA)
        if self.size.height < ROWS_WITH_PREFILL:
            return (decode,)
        return (decode, timeline.curve("prefill_tok_s", "prefill"))
