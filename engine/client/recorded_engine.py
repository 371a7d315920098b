"""An engine whose reports are recorded as they pass to the screen."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..protocol import ChildStarted, Command, Fault, Note, Ready, Report
from ..protocol.errors import ProdtopError
from ..records.recording.recorder import Recorder, begin_recording
from ..records.recording.retention import KEEP_ALL, Retention
from ..records.recording.sweep_state import SweepState
from ..records.recording.tick import as_recorded, poll_tick
from .local_engine import EngineClient


@dataclass(frozen=True, slots=True)
class RecordingNow:
    """The recording under way: where, and since when on the screen's clock."""

    path: Path
    since_s: float


class RecordedEngine:
    """Passes on what an engine reports, and records it while that is asked for.

    Figures pass in the precision that recordings keep, so that a replay has the very same ones.
    `clock` is the screen's: monotonic, in seconds; `facts` is asked for what a recording says of
    itself.
    """

    def __init__(
        self,
        engine: EngineClient,
        *,
        facts: Callable[[], dict[str, str]],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        retention: Retention = KEEP_ALL,
    ) -> None:
        self._engine = engine
        self._facts = facts
        self._clock, self._wall = clock, wall
        self._retention = retention
        self._recorder: Recorder | None = None
        self._now: RecordingNow | None = None
        self._told: dict[str, Ready | ChildStarted] = {}
        """What the engine said of itself when it started: a recording begins with it."""
        self._notes: list[Report] = []
        """What the user wrote, and the next poll brings."""
        self._sweeps: list[SweepState] = []
        """What is told of sweeps before the next poll."""
        self._finishing: list[Recorder] = []
        self.saved: list[Path] = []
        """The recordings that were finished."""

    @property
    def recording(self) -> RecordingNow | None:
        """The recording under way."""
        return self._now

    def start_recording(self, path: Path | None = None) -> Path:
        """Record from the next poll on, to a new file: `path`, or one in the usual folder.

        Raises `ProdtopError` where it cannot be, or while another one is recorded.
        """
        if self._now is not None:
            raise ProdtopError(f"already recording to {self._now.path}")
        facts = {**self._facts(), "began_wall_s": f"{self._wall():.6f}"}
        self._recorder = begin_recording(
            path, facts=facts, wall_s=self._wall(), retention=self._retention
        )
        self._now = RecordingNow(self._recorder.path, self._clock())
        self._sweeps = []
        if self._told:
            begin = poll_tick([*self._told.values()], self._clock(), self._wall())
            self._recorder.add(begin)
        return self._recorder.path

    def stop_recording(self) -> Path | None:
        """Finish the recording, without waiting for it, and return its file; `None` where there is
        none."""
        recorder, self._recorder, self._now = self._recorder, None, None
        if recorder is None:
            return None
        recorder.finish()
        self._finishing.append(recorder)
        self.saved.append(recorder.path)
        return recorder.path

    def poll(self) -> list[Report]:
        """What was reported since the last call, oldest first."""
        reports = [*self._engine.poll(), *self._notes]
        self._notes = []
        for report in reports:
            if isinstance(report, Ready):
                self._told["ready"] = report
            elif isinstance(report, ChildStarted):
                self._told[report.child] = report
        if self._recorder is None:
            return reports
        if self._recorder.failure is not None:
            return [*reports, self._give_up(self._recorder.failure)]
        if not reports:
            return []
        reports = [as_recorded(report) for report in reports]
        sweeps, self._sweeps = self._sweeps, []
        self._recorder.add(poll_tick(reports, self._clock(), self._wall(), sweeps))
        return reports

    def tell_of_sweeps(self, *states: SweepState) -> None:
        """What a replay needs to know of sweeps of cells, beside their results."""
        self._sweeps += states

    def note(self, text: str) -> None:
        """A note of the user's: the next poll brings it, and so it is recorded."""
        self._notes.append(Note(message=text, by_user=True))

    def _give_up(self, failure: str) -> Fault:
        """The disk takes no more: what was written before is kept, and the screen goes on."""
        path = self.stop_recording()
        return Fault(message=f"recording has stopped, {failure}: what came before is in {path}")

    def send(self, command: Command) -> None:
        if self._recorder is not None:
            self._recorder.add(command)
        self._engine.send(command)

    def close(self) -> None:
        """Finish the recording, wait until it is on the disk, and end the engine."""
        self.stop_recording()
        self._engine.close()
        for recorder in self._finishing:
            recorder.close()
