"""The Live tab: what is being served, how fast, on what, and what the last switch did."""

from collections.abc import Mapping

from textual.app import ComposeResult
from textual.geometry import Region

from ...engine.protocol import Frame
from ..drawing.line import EMPTY, Line
from ..settings.keymap import LIVE, REQUESTS, Keymap
from ..state.moment import MarkKind, Moment
from ..state.playhead import Timeline
from ..style.theme import palette_of
from ..views.controls import control_lines
from ..views.events import event_line
from ..views.header import header_line
from ..views.keys import Shown, footer_line, past_line
from ..views.latency_shape import LatencyShape
from ..views.panel import Room
from ..views.production.lights import strip_line
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
from ..widgets.requests_panel import RequestsPanel
from .live_placement import GPU_LINES, gpu_panel_lines, place_panels
from .tab import TabScreen


class LiveScreen(TabScreen):
    """Panels over a header and two bars. `show` draws one moment on all of it."""

    def __init__(self, keymap: Keymap) -> None:
        super().__init__(keymap, id=LIVE)
        self._gpu_lines = GPU_LINES
        self._shown: tuple[Moment, Timeline] | None = None
        self._footer: tuple[tuple[int, Shown], Line] = ((0, Shown.NOW), EMPTY)
        self._before_opened: str | None = None
        """What was maximised when a request was opened."""

    def compose(self) -> ComposeResult:
        yield LinesView(id="header")
        yield Board(
            ThroughputPanel(id="throughput"),
            GpuPanel(id="gpu"),
            StreamPanel(id="stream"),
            LatencyPanel(id="latency"),
            CachePanel(id="cache"),
            QueuePanel(id="queue"),
            RequestsPanel(self._keymap.bindings(REQUESTS), id=REQUESTS),
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
        for name, lines in (
            ("header", (header_line(moment, room),)),
            ("effect", (strip_line(moment, room),)),
            ("controls", control_lines(moment, room, self._keymap)),
            ("event", (event_line(moment, room),)),
            ("footer", (self._footer_line(moment, room),)),
        ):
            self.query_one(f"#{name}", LinesView).set_lines(lines)
        for panel in self.query(LivePanel):
            panel.show(moment, timeline)

    def _footer_line(self, moment: Moment, room: Room) -> Line:
        if isinstance(self.focused, RequestsPanel):
            shown = Shown.REQUESTS
        elif moment.behind_s is not None:
            return past_line(self._keymap, room.width, moment.behind_s, room.glyphs)
        else:
            recorded = moment.mark is not None and moment.mark.kind is not MarkKind.RECORDING
            shown = Shown.RECORDING if recorded else _of_frame(moment.frame)
        footer_of = (room.width, shown)
        if self._footer[0] != footer_of:
            self._footer = (footer_of, footer_line(self._keymap, room.width, shown))
        return self._footer[1]

    def _make_room_for_gpus(self, moment: Moment) -> None:
        """The GPU panel grows with the GPUs that there are, and were."""
        if moment.host is None:
            return
        gpus = len(moment.host.gpus)
        some_lost = bool(gpus) and moment.host.gpu_note is not None
        gpu_lines = gpu_panel_lines(self.size.width, gpus, some_lost=some_lost)
        if gpu_lines != self._gpu_lines:
            self._gpu_lines = gpu_lines
            self.rearrange()

    def view_state(self) -> dict[str, str]:
        shape = {"shape": str(self.query_one(LatencyPanel).shape)}
        return {**super().view_state(), **self._requests.view_state(), **shape}

    def restore_view(self, state: Mapping[str, str]) -> None:
        panel = self.query_one(LatencyPanel)
        for _ in LatencyShape:
            if panel.shape != state.get("shape", panel.shape):
                panel.next_shape()
        self._requests.restore_view(state)
        super().restore_view(state)

    # Requests, and the shape of latencies

    @property
    def _requests(self) -> RequestsPanel:
        return self.query_one(RequestsPanel)

    def on_requests_panel_inspected(self, message: RequestsPanel.Inspected) -> None:
        """An opened request has all the room; what was maximised before comes back."""
        if message.key is not None:
            self._before_opened = self._maximized
        self._maximized = REQUESTS if message.key is not None else self._before_opened
        self.rearrange()

    def on_descendant_focus(self) -> None:
        self.redraw()

    def action_requests_table(self) -> None:
        """Give the table all the room, and the keys; or put it back."""
        self._maximized = None if self._maximized == REQUESTS else REQUESTS
        self.rearrange()
        self.set_focus(self._requests)

    def action_requests_move(self, steps: int) -> None:
        self._requests.move(steps)

    def action_requests_open(self) -> None:
        self._requests.open_chosen()

    def action_requests_close(self) -> None:
        self._requests.close()

    def action_requests_order(self) -> None:
        self._requests.next_order()

    def action_requests_turn(self) -> None:
        self._requests.turn_order()

    def action_requests_filter(self) -> None:
        self._requests.next_shown()

    def action_latency_shape(self) -> None:
        """Draw the latencies as the next shape."""
        self.query_one(LatencyPanel).next_shape()


def _of_frame(frame: Frame | None) -> Shown:
    """What the footer speaks of now: our own engine, or another's server."""
    if frame is None or frame.attached is None:
        return Shown.NOW
    return Shown.ATTACHED if frame.load is None else Shown.LOADED
