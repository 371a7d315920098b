"""The Live tab: what is being served, how fast, on what, and what the last switch did."""

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.geometry import Region

from ..drawing.line import EMPTY, Line
from ..settings.keymap import LIVE, Keymap
from ..state.moment import Moment
from ..state.playhead import Timeline
from ..style.theme import palette_of
from ..views.controls import control_lines
from ..views.events import effect_line, event_line
from ..views.header import header_line
from ..views.keys import footer_line
from ..views.panel import Room
from ..widgets.board import Board
from ..widgets.lines import LinesView
from ..widgets.live_panels import (
    CachePanel,
    GpuPanel,
    LatencyPanel,
    LivePanel,
    QueuePanel,
    StreamPanel,
    ThroughputPanel,
)
from .live_placement import GPU_LINES, place_panels
from .tab import TabScreen


class LiveScreen(TabScreen):
    """Panels over a header and two bars. `show` draws one moment on all of it."""

    def __init__(self, keymap: Keymap) -> None:
        super().__init__(keymap, id=LIVE)
        self._gpu_lines = GPU_LINES
        self._shown: tuple[Moment, Timeline] | None = None
        self._footer: tuple[int, Line] = (0, EMPTY)

    def compose(self) -> ComposeResult:
        yield LinesView(id="header")
        yield Board(
            ThroughputPanel(id="throughput"),
            GpuPanel(id="gpu"),
            StreamPanel(id="stream"),
            LatencyPanel(id="latency"),
            CachePanel(id="cache"),
            QueuePanel(id="queue"),
            place=self._place_panels,
        )
        yield LinesView((EMPTY,), id="effect")
        yield LinesView((EMPTY, EMPTY), id="controls")
        yield LinesView((EMPTY,), id="event")
        yield LinesView((EMPTY,), id="footer")
        yield LinesView(id="too-small")

    def _place_panels(self, width: int, height: int) -> Mapping[str, Region]:
        return place_panels(width, height, gpu_lines=self._gpu_lines, maximized=self._maximized)

    @property
    def step_s(self) -> float:
        """A column of the charts, so that the cursor is seen to move."""
        steps = [panel.step_s for panel in self.query(LivePanel)]
        return max((step for step in steps if step), default=1.0)

    def redraw(self) -> None:
        if self._shown is not None:
            self.show(*self._shown)

    def show(self, moment: Moment, timeline: Timeline) -> None:
        self._shown = (moment, timeline)
        if self.is_too_small:
            return
        self._make_room_for_gpus(moment)
        room = Room(self.size.width, 1, palette_of(self.app).glyphs)
        if self._footer[0] != room.width:
            self._footer = (room.width, footer_line(self._keymap, room.width))
        for name, lines in (
            ("header", (header_line(moment, room),)),
            ("effect", (effect_line(moment, room),)),
            ("controls", control_lines(moment, room, self._keymap)),
            ("event", (event_line(moment, room),)),
            ("footer", (self._footer[1],)),
        ):
            self.query_one(f"#{name}", LinesView).set_lines(lines)
        for panel in self.query(LivePanel):
            panel.show(moment, timeline)

    def _make_room_for_gpus(self, moment: Moment) -> None:
        """The GPU panel grows by a line for every GPU beside the first, and for lost ones."""
        if moment.host is None:
            return
        gpus = len(moment.host.gpus)
        some_lost = bool(gpus) and moment.host.gpu_note is not None
        gpu_lines = GPU_LINES + max(0, gpus - 1) + some_lost
        if gpu_lines != self._gpu_lines:
            self._gpu_lines = gpu_lines
            self.rearrange()
