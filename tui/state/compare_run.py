"""Comparing from the screen: sends what the sweep asks for, takes reports, tells of it."""

from collections.abc import Callable
from dataclasses import replace

from ...engine.compare.cells import Comparison
from ...engine.compare.sweep import Sweep
from ...engine.protocol import (
    BenchDone,
    ChildDied,
    Command,
    Fault,
    Frame,
    PrecisionName,
    Ready,
    Report,
    RunBench,
    SetPrecision,
    StopBench,
    own_setting,
)
from ...engine.protocol.errors import BadInputError
from .compare import GOAL, Compare, asked, going_on
from .stage import Stage
from .told import Told

NOT_SERVING = "the live load is set aside while cells are measured"


class CompareRun:
    """The state of the comparison (`now`), and the only one that changes it.

    Each bench is one repeat of one cell, and the live load waits until the last. Times are
    monotonic seconds.
    """

    def __init__(
        self,
        send: Callable[[Command], None],
        say: Callable[[Told], None],
        ask: Callable[[Frame], Comparison] = asked,
    ) -> None:
        """`ask`: the cells to measure of what is served; it raises `BadInputError` for none."""
        self.now = Compare()
        self._ask = ask
        self._send_command = send
        self._say = say
        self._sweep: Sweep | None = None
        self._home: PrecisionName | None = None
        """What was served before, and is again afterwards."""
        self._precision: PrecisionName | None = None
        self._held = False
        """The worker keeps the live load waiting until it is told otherwise."""
        self._down = False
        """The worker died, and has not served again."""

    def begin(self, frame: Frame, now_s: float) -> None:
        """Measure every cell that `ask` names; what is kept of an unfinished sweep of the
        same work is gone on with."""
        if self.now.running:
            self._say(Told("cells are being measured already"))
            return
        try:
            comparison = going_on(self.now.comparison, self._ask(frame))
            precision = own_setting(frame).precision
        except BadInputError as error:
            self._say(Told(str(error), failed=True))
            return
        self._begin(comparison, precision, now_s)

    def begin_with(self, comparison: Comparison, now_s: float) -> None:
        """As `begin`, in a replay: these cells, with the repeats that they had, were asked for."""
        self._begin(comparison, comparison.cells[0].cell.precision, now_s)

    def keep(self, ended: Compare) -> None:
        """In a replay: what had been measured before, by a sweep that is over."""
        self.now, self._sweep = ended, None

    @property
    def awaits_worker(self) -> bool:
        """Whether the worker died meanwhile, and the sweep goes on with the next frame."""
        return self._down and self.now.running

    def _begin(self, comparison: Comparison, precision: PrecisionName, now_s: float) -> None:
        self._sweep = Sweep(comparison, GOAL, precision)
        self._home = self._precision = precision
        self._down = False
        self.now = Compare(Stage.RUNNING, comparison)
        text = f"comparing {len(comparison.cells)} cells: {NOT_SERVING}"
        self._say(Told(text, mark="compare"))
        self._send(self._sweep.begin(now_s))
        self._after(now_s)

    def cancel(self, now_s: float) -> None:
        """Abandon the repeat under way, and keep what was measured before."""
        if not self.now.running:
            self._say(Told("no cells are being measured"))
        elif self._down:
            self._end(Stage.CANCELLED, "cancelled")
        elif self.now.stage is Stage.RUNNING:
            self.now = replace(self.now, stage=Stage.CANCELLING)
            self._say(Told("comparing: told to stop"))
            self._serve_again()

    def take(self, report: Report, now_s: float) -> None:
        """Take in what was reported, and send what follows from it."""
        sweep = self._sweep
        if sweep is None or not self.now.running:
            return
        match report:
            case Ready() if not self._down:
                self._end(Stage.FAILED, "the engine was started anew")
                return
            case BenchDone() if self.now.stage is Stage.CANCELLING:
                self._end(Stage.CANCELLED, "cancelled")
                return
            case ChildDied(child="worker"):
                # The one that comes next serves at the precision that it was last told.
                self._down, self._held = True, False
            case Fault(fatal=True, message=message):
                self._end(Stage.FAILED, message)
                return
            case Frame() if self._down and report.model.name != sweep.comparison.work.model:
                self._end(Stage.FAILED, f"the engine was started anew, with {report.model.name}")
                return
            case Frame() if self._down:
                self._down, self._precision = False, report.precision
            case _:
                pass
        self._send(sweep.take(report, now_s))
        self._after(now_s)
        if self._down and self.now.stage is Stage.CANCELLING:
            self._end(Stage.CANCELLED, "cancelled")

    def on_command(self, command: Command) -> None:
        """The user asks for something meanwhile: a precision is what is served afterwards."""
        if isinstance(command, SetPrecision) and self.now.running:
            self._home = self._precision = command.name

    def look(self, now_s: float) -> Compare:
        """The state with the progress as it is now."""
        if self._sweep is not None and self.now.running:
            return replace(self.now, progress=self._sweep.progress(now_s))
        return self.now

    def _after(self, now_s: float) -> None:
        """Keep what the sweep has, and end where it has."""
        sweep = self._sweep
        if sweep is None:
            return
        if sweep.comparison is not self.now.comparison:
            self.now = replace(self.now, comparison=sweep.comparison)
        if sweep.ended is not None:
            self._end(Stage.FAILED if self._down else Stage.DONE, sweep.ended)

    def _end(self, stage: Stage, why: str) -> None:
        comparison = self.now.comparison
        self._sweep = None
        self.now = replace(self.now, stage=stage, progress=None, ended=why)
        if not self._down:
            self._serve_again()
        cells = [] if comparison is None else comparison.cells
        known = sum(bool(each.repeats) for each in cells)
        failed = sum(each.failure is not None for each in cells)
        words = f"compared: {known} of {len(cells)} cells measured; {why}"
        if failed:
            words += f"; {failed} failed"
        bad = stage is Stage.FAILED
        self._say(Told(words, failed=bad, answer=stage is Stage.CANCELLED, mark="compare ends"))

    def _serve_again(self) -> None:
        """Have the live load go on, at the precision that is to be served."""
        if self._home is not None and self._precision is not self._home:
            self._send([SetPrecision(name=self._home)])
        if self._held:
            self._held = False
            self._send([StopBench()])

    def _send(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, SetPrecision):
                self._precision = command.name
            self._held |= isinstance(command, RunBench)
            self._send_command(command)
