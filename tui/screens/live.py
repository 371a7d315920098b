"""The Live tab: what is being served, how fast, on what, and what the last switch did."""

from collections.abc import Mapping

from textual import events
from textual.app import ComposeResult
from textual.geometry import Region

from ..settings.keymap import Keymap
from ..state.moment import Moment
from ..style.theme import look_of
from ..views.controls import control_lines, footer_line
from ..views.events import effect_line, event_line
from ..views.header import header_line
from ..views.line import EMPTY, Line, centred, strong
from ..views.panel import Room
from ..widgets.board import Board
from ..widgets.cache_panel import CachePanel
from ..widgets.figures_panel import FiguresPanel, Timeline
from ..widgets.gpu_panel import GpuPanel
from ..widgets.latency_panel import LatencyPanel
from ..widgets.lines import LinesView
from ..widgets.queue_panel import QueuePanel
from ..widgets.stream_panel import StreamPanel
from ..widgets.throughput_panel import ThroughputPanel
from .plan import MIN_HEIGHT, MIN_WIDTH, fits, plan
from .tab import TabScreen

CPU_LINES = 7
GPU_LINES = 7


class LiveScreen(TabScreen):
    """Panels over a header and two bars. `show` draws one moment on all of it."""

    def __init__(self, keymap: Keymap) -> None:
        super().__init__(keymap, id="live")
        self._keymap = keymap
        self._maximized: str | None = None
        self._gpu_lines = GPU_LINES
        self._shown: tuple[Moment, Timeline] | None = None
        self._footer_for: Room | None = None
        self._footer_line = EMPTY

    def compose(self) -> ComposeResult:
        yield LinesView(id="header")
        yield Board(
            ThroughputPanel(id="throughput"),
            GpuPanel(id="gpu"),
            StreamPanel(id="stream"),
            LatencyPanel(id="latency"),
            CachePanel(id="cache"),
            QueuePanel(id="queue"),
            plan=self._plan,
        )
        yield LinesView((EMPTY,), id="effect")
        yield LinesView((EMPTY, EMPTY), id="controls")
        yield LinesView((EMPTY,), id="event")
        yield LinesView((EMPTY,), id="footer")
        yield LinesView(id="too-small")

    def _plan(self, width: int, height: int) -> Mapping[str, Region]:
        return plan(width, height, gpu_lines=self._gpu_lines, maximized=self._maximized)

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        self.set_class(not fits(width, height), "-too-small")
        text = f"{width}x{height} is too small: prodtop needs {MIN_WIDTH}x{MIN_HEIGHT}"
        blank = [EMPTY] * (height // 2)
        self.query_one("#too-small", LinesView).set_lines([*blank, centred(strong(text), width)])
        if self._shown is not None:
            self.show(*self._shown)

    @property
    def step_s(self) -> float:
        """A column of the charts, so that the cursor is seen to move."""
        steps = [panel.step_s for panel in self.query(FiguresPanel)]
        return max((step for step in steps if step), default=1.0)

    def toggle_maximized(self) -> bool:
        if self._maximized is not None:
            self._maximized = None
        elif isinstance(self.focused, FiguresPanel):
            self._maximized = self.focused.id
        else:
            return False
        self.query_one(Board).replan()
        return True

    def show(self, moment: Moment, timeline: Timeline) -> None:
        self._shown = (moment, timeline)
        if self.has_class("-too-small"):
            return
        self._make_room_for_gpus(moment)
        width = self.size.width
        room = Room(width, 1, look_of(self.app).glyphs)
        for name, shown in (
            ("header", (header_line(moment, room),)),
            ("effect", (effect_line(moment, room),)),
            ("controls", control_lines(moment, room, self._keymap)),
            ("event", (event_line(moment, room),)),
            ("footer", (self._footer(room),)),
        ):
            self.query_one(f"#{name}", LinesView).set_lines(shown)
        for panel in self.query(FiguresPanel):
            panel.show(moment, timeline)

    def _footer(self, room: Room) -> Line:
        if self._footer_for != room:
            self._footer_for, self._footer_line = room, footer_line(self._keymap, room)
        return self._footer_line

    def _make_room_for_gpus(self, moment: Moment) -> None:
        """The GPU panel grows by a line for every GPU beside the first."""
        if moment.host is None:
            return
        gpus = len(moment.host.gpus)
        wanted = GPU_LINES + gpus - 1 if gpus else CPU_LINES
        if wanted != self._gpu_lines:
            self._gpu_lines = wanted
            self.query_one(Board).replan()
