"""The state behind the screen: what it observes, and what it asks of the engine.

No widget and no terminal: the app asks it for moments and draws them.
"""

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import msgspec

from ...engine.client.recorded_engine import RecordedEngine
from ...engine.protocol import (
    Command,
    Event,
    Frame,
    InspectRequest,
    Note,
    PrecisionName,
    SetLoad,
    SetSlo,
    SloSpec,
    StartAgain,
    StartAnew,
    StrategyName,
    WatchReplica,
    Window,
)
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.protocol.options import BUNDLED_MODEL
from ...engine.readiness.items import ABOUT, Item
from ...engine.readiness.judging import summary
from ...engine.records.recording.sweep_state import SweepOf, SweepState
from ...engine.shape.presets import PRESETS
from ...engine.text.cleaning import clean
from ..settings.config import Config
from ..style.formatting import short_path
from .actions import (
    NOT_READY,
    WATCHED,
    Outcome,
    choose_precision,
    choose_strategy,
    describe_command,
    next_window,
    set_load_level,
    step_load,
    step_precision,
    toggle_drafts,
)
from .billing import Billing
from .command_line import run_line
from .compare_run import CompareRun
from .history import PastMoment
from .moment import MarkKind, SessionMark, unready_text
from .readiness_book import ReadinessBook, next_to_prove
from .recorded_past import RecordedPast
from .recorded_sweeps import begun, so_far, stopped
from .server import is_down
from .settable import Standing
from .stage import Stage
from .walking import Walking

READ_ONLY = "this is a recording: what was served then cannot be changed now"


class Monitor(Walking):
    """Takes in what the engine reports, and sends it commands. Its calls never block."""

    read_only = False
    """Whether there is no engine to ask for anything: a recording is shown."""
    read_only_words = READ_ONLY
    on_billing: Callable[[Billing], None] = staticmethod(lambda _: None)
    """Told where prices or the budget change."""
    plan_texts: Mapping[str, str] | None = None
    """What the planner's form begins with, where a plan was kept."""

    @cached_property
    def _past(self) -> RecordedPast:
        return RecordedPast()

    def _refuses(self) -> bool:
        """Whether nothing can be asked for; then that is said."""
        watched = self._frame is not None and self._frame.attached is not None
        if self.read_only or watched:
            self.say(self.read_only_words if self.read_only else WATCHED)
        return self.read_only or watched

    def forget(self) -> None:
        super().forget()
        self.readiness = ReadinessBook(self._say_unkept, writes=not self.read_only)

    def _on_event(self, event: Event, now_s: float) -> None:
        before = self._quality.now
        super()._on_event(event, now_s)
        self.readiness.on_quality(before, self._quality.now, self._frame)

    def _say_unkept(self, text: str) -> None:
        self.say(text, fault=True)

    def on_snapshot(self, path: Path, frame: Frame) -> None:
        """A snapshot of `frame` was saved: keep that it can be read."""
        self.readiness.on_snapshot(path, frame)

    def prove_next(self) -> str | None:
        """Begin what proves the next open item of the checklist, or say which command does;
        returns what the app is to do besides."""
        frame = self._frame
        if frame is None or self._refuses():
            return None
        standings = self.readiness.look(frame, self.config).standings(time.time())
        following = next_to_prove(standings)
        if following is None:
            self.say(summary(standings))
        elif following.item is Item.QUALITY and not self._quality.now.running:
            self.toggle_quality()
        elif following.item is Item.SNAPSHOT:
            return "snapshot"
        else:
            self.say(f"{ABOUT[following.item].title}: {following.how}")
        return None

    def choose_strategy(self, name: StrategyName) -> None:
        self._carry_out(choose_strategy(self._serving, self._pending, name))

    def choose_precision(self, name: PrecisionName) -> None:
        self._carry_out(choose_precision(self._serving, self._pending, name))

    def step_precision(self, direction: int) -> None:
        self._carry_out(step_precision(self._serving, self._pending, direction))

    def toggle_drafts(self) -> None:
        """Speculative decoding on, as it last was, or off."""
        self._carry_out(toggle_drafts(self._serving, self._pending, self._speculation))

    def set_slo(self, slo: SloSpec) -> None:
        """Have requests judged by other limits, where these are others."""
        if self.read_only:
            return
        if self._frame is None or slo != self._frame.slo:
            self._client.send(SetSlo(slo=slo))
            self._say("the limits are those of the changed config file")

    def watch_replica(self, name: str) -> None:
        """Look at another server of the fleet: what was known of the one before is forgotten."""
        fleet = self._fleet.now
        if fleet is None or fleet.chosen == name:
            return
        self._client.send(WatchReplica(name=name))
        self.forget()
        self.say(f"looking at {name}")

    def start_again(self) -> None:
        """Start what died too often to be restarted by itself."""
        if self._refuses():
            return
        waits = self._worker.restart_at_s is not None
        if self._given_up or waits or is_down(self._server):
            self._carry_out(Outcome(self._pending, StartAgain()))
        else:
            self.say("nothing to start again: nothing was given up")

    def begin_compare(self) -> None:
        """Measure every strategy at every precision."""
        if self._refuses():
            return
        self._begin_cells(SweepOf.MATRIX, "compare")

    def cancel_compare(self) -> None:
        self._cancel_cells(SweepOf.MATRIX)

    def begin_load_curve(self) -> None:
        """Measure what is served under loads around the present one."""
        if not self._refuses():
            self._begin_cells(SweepOf.CURVE, "measure a load curve")

    def cancel_load_curve(self) -> None:
        self._cancel_cells(SweepOf.CURVE)

    @property
    def _sweeps(self) -> dict[SweepOf, CompareRun]:
        return {SweepOf.MATRIX: self._compare, SweepOf.CURVE: self._load_curve}

    def _cancel_cells(self, of: SweepOf) -> None:
        run, now_s = self._sweeps[of], self._clock()
        if run.now.running and self._refuses():
            return
        if run.now.stage is Stage.RUNNING:
            self._tell_recording(stopped(of, now_s))
        run.cancel(now_s)

    def _tell_recording(self, *states: SweepState | None) -> None:
        if isinstance(self._client, RecordedEngine):
            self._client.tell_of_sweeps(*filter(None, states))

    def _begin_cells(self, of: SweepOf, what: str) -> None:
        run = self._sweeps[of]
        (other,) = (each for name, each in self._sweeps.items() if name is not of)
        if self._serving is None and not run.now.running:
            self.say(unready_text(self._worker))
        elif self._quality.now.running:
            self.say(f"quality is being measured: {what} when that has ended")
        elif other.now.running:
            self.say(f"other cells are being measured: {what} when that has ended")
        elif self._frame is not None:
            before, now_s = run.now.running, self._clock()
            run.begin(self._frame, now_s)
            self._tell_recording(None if before else begun(of, run.now, now_s))

    def take_over(self, config: Config) -> None:
        """Take over what a changed config file says of limits and prices, where that is new."""
        self.set_slo(config.slo.spec())
        self.config = msgspec.structs.replace(
            self.config,
            slo=config.slo,
            cost=config.cost,
            prices=config.prices,
            readiness=config.readiness,
        )
        billing = Billing.of(config)
        if billing != self.billing:
            self._set_billing(billing)
            self._say("the prices are those of the changed config file")

    def _set_billing(self, billing: Billing) -> None:
        self.billing = billing
        self.on_billing(billing)

    def inspect_request(self, key: str | None) -> None:
        """Have the worker tell the timeline of one request of the table; `None` ends that."""
        self._client.send(InspectRequest(request_id=self._requests.inspect(key)))

    def toggle_quality(self) -> None:
        """Begin to measure the quality of every precision, or cancel that."""
        if self._refuses():
            return
        if self._sweeping:
            self.say("cells are being compared: measure quality when that has ended")
        elif self._quality.now.running or self._serving is not None:
            self._quality.toggle(self._serving)
        else:
            self.say(unready_text(self._worker))

    def cancel_quality(self) -> None:
        if not (self._quality.now.running and self._refuses()):
            self._quality.cancel()

    def step_load(self, direction: int) -> None:
        self._carry_out(step_load(self._serving, self._pending, direction))

    def set_load_level(self, level: float) -> None:
        self._carry_out(set_load_level(self._serving, self._pending, level))

    def standing(self, themes: tuple[str, ...]) -> Standing:
        """What a line of the command line is read against."""
        models = (BUNDLED_MODEL, *PRESETS)
        return Standing(self._serving, self._pending, themes, models, self.billing)

    def run_line(self, text: str, standing: Standing) -> str | None:
        """Carry out a line of the command line; returns what the app is to do besides."""
        try:
            outcome = run_line(text, standing)
        except BadInputError as error:
            self._say(str(error), "fault")
            return None
        self._carry_out(outcome)
        return outcome.action

    def toggle_recording(self) -> None:
        """Begin to record the session, or finish that."""
        if not isinstance(self._client, RecordedEngine):
            self._refuses()
            return
        path = self._client.stop_recording()
        if path is not None:
            self.say(f"recorded {path.name} in {short_path(path.parent)}")
            return
        self.record_to(None)

    def record_to(self, path: Path | None) -> None:
        """Begin to record into a new file; say where, or why not."""
        if isinstance(self._client, RecordedEngine):
            try:
                path = self._client.start_recording(path)
            except ProdtopError as error:
                self.say(str(error), fault=True)
            else:
                for of, run in self._sweeps.items():
                    self._tell_recording(*so_far(of, run.now, self._clock()))
                self.say(f"recording to {path.name} in {short_path(path.parent)}")

    def mark(self) -> SessionMark | None:
        if isinstance(self._client, RecordedEngine) and self._client.recording is not None:
            since_s = self._user_clock() - self._client.recording.since_s
            return SessionMark(MarkKind.RECORDING, since_s)
        return None

    def _recorded_then(self, wall_s: float) -> PastMoment | None:
        if not isinstance(self._client, RecordedEngine) or self._client.recording is None:
            return None
        path = self._client.recording.path
        return self._past.at(path, wall_s - self._wall_offset_s, self._wall_offset_s)

    def _carry_out(self, outcome: Outcome) -> None:
        changes = outcome.command is not None or outcome.pending != self._pending
        if changes and not self._is_own_load(outcome.command) and self._refuses():
            return
        starts_one = isinstance(outcome.command, StartAgain | StartAnew)
        needs_engine = outcome.command is not None and not starts_one
        if self._serving is None and (needs_engine or outcome.say == NOT_READY):
            self.say(unready_text(self._worker))
            return
        self._pending = outcome.pending
        if outcome.billing is not None:
            self._set_billing(outcome.billing)
        if outcome.command is not None:
            self._pending_since_s = self._clock()
            self._compare.on_command(outcome.command)
            self._load_curve.on_command(outcome.command)
            self._client.send(outcome.command)
            if self.playhead.frozen:
                # What it does would not be seen on a picture of the past.
                self.playhead.go_live()
                self.say(f"back to the present: {describe_command(outcome.command)}")
        if outcome.say is not None:
            self.say(outcome.say)

    def _is_own_load(self, command: Command | None) -> bool:
        """Whether it changes the load that prodtop itself puts on another's server."""
        frame = self._frame
        own = frame is not None and frame.attached is not None and frame.load is not None
        return own and isinstance(command, SetLoad) and not self.read_only

    def next_window(self) -> None:
        self.set_window(next_window(self._window))

    def set_window(self, window: Window) -> None:
        self._window = window
        self._zoom_s = None

    def note(self, text: str) -> None:
        """Keep a note of the user's on this moment; in the recording as well, if there is one."""
        text = clean(text)
        if isinstance(self._client, RecordedEngine):
            self._client.note(text)
        else:
            self._on_event(Note(message=text, by_user=True), self._clock())

    def close(self) -> None:
        self._past.close()
        self._client.close()
