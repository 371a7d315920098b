"""What the screen knows and remembers of the engine: takes reports in, and keeps the history."""

import math
import time
from collections.abc import Callable
from dataclasses import replace

from ...engine.client.local_engine import EngineClient
from ...engine.protocol import (
    WINDOW_SECONDS,
    ChildDied,
    ChildStarted,
    Event,
    Fault,
    FinishedSample,
    Frame,
    HostSample,
    Note,
    Ready,
    RequestsInSystem,
    RequestTimeline,
    ServerBack,
    ServerDown,
    ServerListening,
    SpeculationSpec,
    Switched,
    TargetAlert,
    Window,
)
from ...engine.targets.settings import QUIET
from ...engine.text.cleaning import clean
from ..settings.config import Config
from . import server
from .actions import settled
from .billing import Billing
from .capacity import asked_curve
from .compare_run import CompareRun
from .condition import Word
from .event_log import EventLog
from .frame_loss import FrameLoss, newest_of
from .gpu_presence import GpuPresence
from .health import judge
from .history import History, Mark, PastMoment
from .moment import (
    STALE_AFTER_S,
    LogLine,
    Moment,
    Pending,
    Phase,
    SessionMark,
    WorkerState,
    after_event,
    died_text,
    given_up_text,
)
from .playhead import Playhead, Timeline
from .production import ProductionBook
from .quality_run import QualityRun
from .report_cleaning import clean_report
from .requests import RequestBook
from .server import Server
from .session_clock import SessionClock
from .speeds import Speeds, after_frame
from .told import Told
from .tried import TriedMemory

ANSWERED_FOR_S = 8.0
"""How long the event line keeps the answer to a key."""
PENDING_FOR_S = 20.0
"""What was asked for and had no effect for so long, and is not being worked on, is forgotten."""
ENERGY_SPAN_S = 30.0
SWITCH_SPANS_S = (10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""What charts span since a switch: steps, so that they do not creep."""


class Observer(SessionClock):
    """What the screen knows of the engine, from its reports, by the time of its session.
    `user_clock` is the one that the user lives by, where that is another than `clock`."""

    def __init__(
        self,
        client: EngineClient,
        config: Config | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        user_clock: Callable[[], float] | None = None,
        clock_to_wall_s: float | None = None,
    ) -> None:
        self.config = config or Config()
        self.billing = Billing.of(self.config)
        self.ring: Callable[[], None] = lambda: None
        """What is done where an alert begins."""
        self._client = client
        super().__init__(clock, clock_to_wall_s)
        self._user_clock = user_clock or clock
        self._retry_key = self.config.keymap("config").first_key("start_again")
        self._window = self.config.window
        self._zoom_s: float | None = None
        """What charts span, where that is not the window."""
        self.forget()

    def forget(self) -> None:
        """Know nothing of the engine, as in the beginning."""
        self.history = History()
        self.playhead = Playhead(self.history, self._recorded_then)
        self.tried = TriedMemory()
        self.versions: dict[str, str] = {}
        self.fault: Fault | None = None
        """The fatal one, once there is one: the screen is to close."""
        self._given_up: set[str] = set()
        """The children that are not started again unless the user says so."""
        self._frame: Frame | None = None
        self._speculation = SpeculationSpec()
        self._frame_at_s: float | None = None
        self._host: HostSample | None = None
        self._host_at_s: float | None = None
        self._forget_time()
        self._worker = WorkerState()
        self._server: Server | None = None
        self._production = ProductionBook()
        self._pending = Pending()
        self._pending_since_s = 0.0
        self._log = EventLog()
        self._answer: LogLine | None = None
        self._answer_at_s = 0.0
        self._requests = RequestBook()
        self._frame_loss = FrameLoss()
        self._gpu = GpuPresence()
        self._standing: Word | None = None
        self._down_name = ""
        """The server that does not answer: said once."""
        self._compare = CompareRun(self._client.send, self._say_of_measuring)
        self._load_curve = CompareRun(self._client.send, self._say_of_measuring, asked_curve)
        self._quality = QualityRun(self._client.send, self._say_of_measuring)
        self._speeds = Speeds()

    # Reports

    def poll(self) -> bool:
        """Take in what came since the last call; whether anything did."""
        reports = [clean_report(report) for report in self._client.poll()]
        if not reports:
            return False
        now_s = self._clock()
        frame, host = newest_of(reports, self._frame_loss, now_s)
        if frame is not None:
            self._frame, self._frame_at_s = frame, now_s
            if frame.speculation is not None:
                self._speculation = frame.speculation.spec
            self._on_wall_clock(frame.wall_s, now_s)
            self._settle(frame, now_s)
            if not self._sweeping:
                # Between two cells the live load is served at whatever precision comes next.
                self.tried.take_in(frame, self.wall_s(now_s))
            disturbed = self._sweeping or self._quality.now.running
            self._speeds = after_frame(self._speeds, frame, disturbed=disturbed)
            if self._worker.phase is Phase.STARTING:
                self._worker = replace(self._worker, phase=Phase.SERVING)
        if host is not None:
            self._host, self._host_at_s = host, now_s
            self._gpu.take(self._frame, host, now_s)
            if frame is None:
                self._on_wall_clock(host.wall_s, now_s)
        if frame is not None or (host is not None and not self._awaits_scrape(now_s)):
            # While the engine is silent its last figures are not repeated as if they were new.
            self.history.add(self.wall_s(now_s), frame, host or self._fresh_host(now_s))
        # A recording has the frame of a poll before its events: a new worker is ready before both.
        for report in sorted(reports, key=lambda each: not isinstance(each, Ready)):
            self._compare.take(report, now_s)
            self._load_curve.take(report, now_s)
        for report in reports:
            if isinstance(report, RequestsInSystem):
                self._requests.on_live(report, self._worker_clock(self.wall_s(now_s)))
            elif not isinstance(report, Frame | HostSample):
                self._on_event(report, now_s)
        return True

    def _awaits_scrape(self, now_s: float) -> bool:
        """Whether the next figures of an attached server, asked once a second, are still to come:
        what the probe says meanwhile would part them in the charts."""
        if self._frame is None or self._frame.attached is None or self._frame_at_s is None:
            return False
        return now_s - self._frame_at_s <= STALE_AFTER_S

    def _fresh_host(self, now_s: float) -> HostSample | None:
        if self._host_at_s is None or now_s - self._host_at_s > 1.0:
            return None
        return self._host

    def _settle(self, frame: Frame, now_s: float) -> None:
        self._pending = settled(self._pending, frame)
        waited_s = now_s - self._pending_since_s
        if waited_s > PENDING_FOR_S and frame.switching is None:
            self._pending = Pending(tried=self._pending.tried, anew=self._pending.anew)

    def _on_event(self, event: Event, now_s: float) -> None:
        self._worker = after_event(self._worker, event, now_s)
        self._server = server.after_event(self._server, event, now_s)
        self._production.take(event, now_s)
        wall_s = self.wall_s(now_s)
        self._quality.take(event)
        match event:
            case Ready():
                self.versions = event.versions
                where = event.device_name or event.device
                self._say(f"{event.model.name} serves on {where} after {event.load_s:.1f} s")
            case Switched():
                switched_s = self._wall_of(event.at_s, wall_s)
                self.history.mark(Mark(switched_s, event.new))
                self._log.switched(event, wall_s, self._clock_shift_s)
            case ChildDied():
                self._say(died_text(event, self._retry_key), "fault")
                if event.given_up:
                    self._given_up.add(event.child)
                if event.child == "worker":
                    self._frame_loss.restart()
                    hint = given_up_text(event, self._retry_key) if event.given_up else ""
                    self._worker = replace(self._worker, hint=hint)
                    self._pending = Pending(anew=self._pending.anew)
                    self._requests.on_worker_died()
                    self.history.mark(Mark(wall_s, "down", "fault"))
            case ChildStarted(attempt=attempt) if attempt > 1:
                self._given_up.discard(event.child)
                self._say(f"{event.child} started again (process {event.pid})", "restart")
            case Fault():
                self._say(event.message, "fault")
                self.fault = event if event.fatal else self.fault
            case ServerListening(url=url):
                self._say(f"the server listens at {url}/v1")
            case ServerDown() if self._down_name != event.name:
                self._down_name = event.name
                self._say(f"{event.name}: {event.reason}", "fault")
                self.history.mark(Mark(wall_s, "down", "fault"))
            case ServerBack(name=name):
                self._down_name = ""
                self._say(f"{name} answers again", "restart")
            case TargetAlert():
                self._say(event.text, "fault" if event.active else "info")
                if event.active and (self.config.targets or QUIET).bell:
                    self.ring()
            case FinishedSample():
                self._requests.on_finished(event.requests, self._worker_clock(wall_s))
            case RequestTimeline():
                self._requests.on_timeline(event)
            case Note():
                self._say(event.message, "note" if event.by_user else "info")
                if event.by_user:
                    self.history.mark(Mark(wall_s, "note", "note"))
            case _:
                pass

    def _wall_of(self, at_s: float, otherwise_s: float) -> float:
        """Unix time of a moment on the worker's clock."""
        if self._frame is None:
            return otherwise_s
        return self.wall_s(self._frame_at_s) + (at_s - self._frame.at_s)

    def _worker_clock(self, otherwise_s: float) -> Callable[[float], float]:
        """From the worker's clock to the history's."""
        return lambda at_s: self._wall_of(at_s, otherwise_s)

    # Time

    def _on_wall_clock(self, wall_s: float, now_s: float) -> None:
        """A report says what time of day it is: the first one sets the clock of the history."""
        moved_s = self._told_time(wall_s, now_s)
        if moved_s:
            self._log.set_back(moved_s)

    @property
    def window(self) -> Window:
        return self._window

    def timeline(self) -> Timeline:
        """What the charts show: the time of the window, all of it for the whole session."""
        now_s = self.wall_s()
        window_s = self._window_s(now_s)
        span_s = window_s
        if self._window is Window.SWITCH:
            span_s = next((step for step in SWITCH_SPANS_S if step >= window_s), math.inf)
        span_s = self._zoom_s or span_s
        return Timeline(
            history=self.history,
            now_s=now_s,
            end_s=self.playhead.chart_end_s(now_s, span_s),
            span_s=span_s,
            window_s=window_s,
            cursor_s=self.playhead.cursor_s,
        )

    def _window_s(self, now_s: float) -> float:
        """How long the chosen window is at the moment that is shown."""
        if self._window is not Window.SWITCH:
            return WINDOW_SECONDS[self._window]
        shown_s = now_s if self.playhead.cursor_s is None else self.playhead.cursor_s
        switch_s = self.history.last_switch_s(shown_s)
        return math.inf if switch_s is None else shown_s - switch_s

    def moment(self) -> Moment:
        """What the panels show: the newest figures, or those under the cursor."""
        now_s = self._clock()
        wall_s = self.wall_s(now_s)
        answered_s = self._user_clock() - self._answer_at_s
        live = Moment(
            wall_s=wall_s,
            now_s=now_s,
            frame=self._frame,
            host=self._host,
            worker=self._worker,
            window=self._window,
            pending=self._pending,
            log=self._log.lines,
            answer=self._answer if answered_s <= ANSWERED_FOR_S else None,
            frame_age_s=None if self._frame_at_s is None else now_s - self._frame_at_s,
            host_age_s=None if self._host_at_s is None else now_s - self._host_at_s,
            clock_shift_s=self._clock_shift_s,
            joules_per_token=self._joules_per_token(wall_s),
            requests=self._requests.now(),
            gpu_lost_s=self._gpu.lost_s(now_s),
            dropped_share=self._frame_loss.share(now_s),
            compare=replace(self._compare.look(now_s), live=self.tried.records),
            load_curve=self._load_curve.look(now_s),
            billing=self.billing,
            production=self._production.now,
            quality=self._quality.now,
            speeds=self._speeds,
            server=self._server,
            mark=self.mark(),
        )
        cursor_s = self.playhead.cursor_s
        if cursor_s is not None:
            past = self._moment_then(live, cursor_s)
            return replace(past, health=judge(past))
        health = judge(live, self._standing)
        self._standing = health.word
        return replace(live, health=health)

    def mark(self) -> SessionMark | None:
        """What the header says beside the figures."""
        return None

    def _moment_then(self, live: Moment, cursor_s: float) -> Moment:
        past = self.playhead.at_cursor
        return replace(
            live,
            wall_s=cursor_s,
            frame=past.frame if past else None,
            host=past.host if past else None,
            behind_s=max(0.0, live.wall_s - cursor_s),
            log=tuple(entry for entry in live.log if entry.wall_s <= cursor_s),
            joules_per_token=self._joules_per_token(cursor_s),
            requests=(past and past.requests) or self._requests.at(cursor_s),
        )

    def _recorded_then(self, wall_s: float) -> PastMoment | None:
        """A moment that is recorded, where there is a recording of it."""
        return None

    def _joules_per_token(self, wall_s: float) -> float | None:
        return self.history.growth_ratio("energy_j", "generated_tokens", wall_s, ENERGY_SPAN_S)

    @property
    def _sweeping(self) -> bool:
        """Whether cells are measured: the live load waits."""
        return self._compare.now.running or self._load_curve.now.running

    @property
    def _serving(self) -> Frame | None:
        """The newest frame if there is an engine to ask for something."""
        return self._frame if self._worker.phase is Phase.SERVING else None

    # Words

    def _say(self, text: str, kind: str = "info") -> LogLine:
        line = LogLine(self.wall_s(), text, kind, self._clock_shift_s)
        self._log.say(line)
        return line

    def say(self, text: str, *, fault: bool = False) -> None:
        """Answer a key: a line of the screen's own in the event log, and for a moment on the event
        line, also while that speaks of the past."""
        self._answer = self._say(clean(text), "fault" if fault else "info")
        self._answer_at_s = self._user_clock()

    def _say_of_measuring(self, told: Told) -> None:
        """Where measuring begins and ends is marked: meanwhile figures are not serving's alone."""
        if told.answer:
            self.say(told.text, fault=told.failed)
        else:
            self._answer = None
            self._say(told.text, "fault" if told.failed else "sweep")
        if told.mark:
            self.history.mark(Mark(self.wall_s(), told.mark))
