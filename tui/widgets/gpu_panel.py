"""The device panel: GPUs, or the CPU where there are none."""

from collections.abc import Sequence

from ..drawing.chart_view import Series, Settings, Stroke
from ..state.moment import Moment
from ..style.formatting import FRACTION
from ..views.gpu import device_view
from ..views.panel import PanelView, Room
from .figures_panel import FiguresPanel, Timeline


class GpuPanel(FiguresPanel):
    """Memory, use, power and clocks; with room to spare, use over time."""

    chart_settings = Settings(unit=FRACTION, top=1.0, empty="no sample yet")

    def view(self, moment: Moment, room: Room) -> PanelView:
        return device_view(moment, room)

    def curves(self, timeline: Timeline) -> Sequence[Series]:
        curves = (
            timeline.curve("gpu", "GPU busy", ink=0),
            timeline.curve("mbu", "MBU", stroke=Stroke.DASHED, ink=1),
            timeline.curve("cpu", "CPU", stroke=Stroke.DOTTED, ink=2),
        )
        return [curve for curve in curves if not curve.is_empty]
