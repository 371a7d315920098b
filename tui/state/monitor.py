"""The state behind the screen: what it observes, and what it asks of the engine.

No widget and no terminal: the app asks it for moments and draws them.
"""

from collections.abc import Mapping
from pathlib import Path

from ...engine.client.recorded_engine import RecordedEngine
from ...engine.protocol import (
    InspectRequest,
    PrecisionName,
    SetSlo,
    SloSpec,
    StartAgain,
    StartAnew,
    StrategyName,
    Window,
)
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.protocol.options import BUNDLED_MODEL
from ...engine.shape.presets import PRESETS
from ..style.formatting import short_path
from .actions import (
    NOT_READY,
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
from .command_line import run_line
from .moment import MarkKind, SessionMark, unready_text
from .observer import Observer
from .server import is_down
from .settable import Standing

READ_ONLY = "this is a recording: what was served then cannot be changed now"


class Monitor(Observer):
    """Takes in what the engine reports, and sends it commands. Its calls never block."""

    read_only = False
    """Whether there is no engine to ask for anything: a recording is shown."""
    read_only_words = READ_ONLY
    plan_texts: Mapping[str, str] | None = None
    """What the planner's form begins with, where a plan was kept."""

    def _refuses(self) -> bool:
        """Whether nothing can be asked for; then that is said."""
        if self.read_only:
            self.say(self.read_only_words)
        return self.read_only

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
        if self._serving is None and not self._compare.now.running:
            self.say(unready_text(self._worker))
        elif self._quality.now.running:
            self.say("quality is being measured: compare when that has ended")
        elif self._frame is not None:
            self._compare.begin(self._frame, self._clock())

    def cancel_compare(self) -> None:
        self._compare.cancel(self._clock())

    def inspect_request(self, key: str | None) -> None:
        """Have the worker tell the timeline of one request of the table; `None` ends that."""
        self._client.send(InspectRequest(request_id=self._requests.inspect(key)))

    def toggle_quality(self) -> None:
        """Begin to measure the quality of every precision, or cancel that."""
        if self._refuses():
            return
        if self._compare.now.running:
            self.say("cells are being compared: measure quality when that has ended")
        elif self._quality.now.running or self._serving is not None:
            self._quality.toggle(self._serving)
        else:
            self.say(unready_text(self._worker))

    def cancel_quality(self) -> None:
        self._quality.cancel()

    def step_load(self, direction: int) -> None:
        self._carry_out(step_load(self._serving, self._pending, direction))

    def set_load_level(self, level: float) -> None:
        self._carry_out(set_load_level(self._serving, self._pending, level))

    def standing(self, themes: tuple[str, ...]) -> Standing:
        """What a line of the command line is read against."""
        return Standing(self._serving, self._pending, themes, (BUNDLED_MODEL, *PRESETS))

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
                self.say(f"recording to {path.name} in {short_path(path.parent)}")

    def mark(self) -> SessionMark | None:
        if isinstance(self._client, RecordedEngine) and self._client.recording is not None:
            since_s = self._user_clock() - self._client.recording.since_s
            return SessionMark(MarkKind.RECORDING, since_s)
        return None

    def _carry_out(self, outcome: Outcome) -> None:
        changes = outcome.command is not None or outcome.pending != self._pending
        if changes and self._refuses():
            return
        starts_one = isinstance(outcome.command, StartAgain | StartAnew)
        needs_engine = outcome.command is not None and not starts_one
        if self._serving is None and (needs_engine or outcome.say == NOT_READY):
            self.say(unready_text(self._worker))
            return
        self._pending = outcome.pending
        if outcome.command is not None:
            self._pending_since_s = self._clock()
            self._compare.on_command(outcome.command)
            self._client.send(outcome.command)
            if self.playhead.frozen:
                # What it does would not be seen on a picture of the past.
                self.playhead.go_live()
                self.say(f"back to the present: {describe_command(outcome.command)}")
        if outcome.say is not None:
            self.say(outcome.say)

    def next_window(self) -> None:
        self._window = next_window(self._window)

    def set_window(self, window: Window) -> None:
        self._window = window

    def close(self) -> None:
        self._client.close()
