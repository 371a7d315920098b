"""The state behind the screen of a recording."""

import math
import time
from collections.abc import Callable
from dataclasses import replace

from ...engine.client.replay_engine import RECENT_S, Past, ReplayEngine
from ...engine.protocol import ChildDied, Event, Ready, Report
from ...engine.protocol.errors import ProdtopError
from ...engine.records.recording.notes import RecordingNote, add_note
from ...engine.records.recording.peaks import PeakTable, peak_table
from ...engine.records.recording.reader import Recording
from ...engine.records.recording.stored_events import MOST_EVENTS, StoredEvent
from ...engine.records.recording.sweep_state import SweepState
from ...engine.records.recording.tick import Tick
from ...engine.records.tried import Tried
from ...engine.text.cleaning import clean
from ..settings.config import Config
from .go_to import Session
from .history import Mark
from .moment import MarkKind, SessionMark
from .monitor import Monitor
from .playhead import Timeline
from .recorded_sweeps import take_sweep
from .report_cleaning import clean_event, clean_report
from .speeds import after_frame
from .stops import Stop
from .told import Told
from .whole_recording import SAME_S, WholeRecording


class ReplayMonitor(Monitor):
    """Takes in what a recording plays. Time is the recording's."""

    read_only = True

    def __init__(
        self,
        engine: ReplayEngine,
        config: Config | None = None,
        *,
        user_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        began = engine.recording.spans[0]
        super().__init__(
            engine,
            config,
            clock=engine.time_s,
            user_clock=user_clock,
            clock_to_wall_s=began.began_wall_s - began.began_clock_s,
        )
        self._engine = engine
        self.whole = WholeRecording(self, engine)
        self._told_offset_s = _told_offset_s(engine.recording)
        self._peaks: PeakTable | None = None
        """Of the whole recording, once charts have asked for it."""
        self._clean_events: dict[int, tuple[Event, Event]] = {}
        self._engine.on_sweep = self._take_sweep
        self._recalled_at_s: float | None = None
        """While past events are taken in: the worker's clock in the poll of each."""

    def seek(self, number: int) -> None:
        """Show the tick `number`, with what was before it. The next poll brings the tick itself."""
        engine = self._engine
        past = engine.seek(number)
        if len(self._clean_events) > 2 * MOST_EVENTS:
            self._clean_events.clear()
        at_s = engine.time_s()
        answer = self._answer
        self.forget()
        self._answer = answer
        if self._told_offset_s is not None:
            # The time of day is that of the first report, as if all had been played.
            self._wall_offset_s, self._wall_told = self._told_offset_s, True
        self._recall_events(past)
        if past.recent:
            self._recall_peaks(past.recent[0].clock_s)
        for tick in past.recent:
            engine.look_at(tick.clock_s)
            self._recall(tick)
        told = [tick for tick in past.recent if tick.live is not None]
        if told and told[-1].live is not None:
            engine.look_at(told[-1].clock_s)
            self._requests.on_live(told[-1].live, self._worker_clock(self.wall_s()))
        engine.look_at(at_s)

    def _recall_events(self, past: Past) -> None:
        """Take in what happened before the tick that was sought."""
        recording, older = self._engine.recording, len(past.of_sweeps)
        died_at = recording.first_tick
        for place, stored in enumerate((*past.of_sweeps, *past.events)):
            if stored.sweep is not None:
                at_s = max(stored.sweep.clock_s, recording.began_clock_s)
                self._engine.look_at(min(at_s, recording.ended_clock_s))
                self._take_sweep(stored.sweep)
            if stored.event is not None:
                if self._awaits_worker:
                    # A poll's frame comes before its events, but a worker is ready before both.
                    is_ready = isinstance(stored.event, Ready)
                    self._recall_worker(died_at, stored.tick + (not is_ready))
                if isinstance(stored.event, ChildDied):
                    died_at = stored.tick
                self._recall_event(stored, self._cleaned(stored.event), of_sweep=place < older)
        if self._awaits_worker:
            self._recall_worker(died_at, self._engine.number)
        self._recalled_at_s = None

    def _recall_event(self, stored: StoredEvent, event: Event, *, of_sweep: bool) -> None:
        self._engine.look_at(stored.clock_s)
        self._recalled_at_s = stored.worker_s
        self._take_of_cells(event, stored.clock_s)
        if not of_sweep:
            self._on_event(event, stored.clock_s)

    # Sweeps of cells

    @property
    def _awaits_worker(self) -> bool:
        return any(run.awaits_worker for run in self._sweeps.values())

    def _recall_worker(self, died_at: int, end: int) -> None:
        """A sweep whose worker died goes on with the first frame of the next one."""
        ticks = self._engine.recording.ticks(died_at + 1, end, living_from=end)
        for tick in ticks:
            if tick.frame is not None:
                self._engine.look_at(tick.clock_s)
                self._take_of_cells(clean_report(tick.frame), tick.clock_s)
                return

    def _take_of_cells(self, report: Report, now_s: float) -> None:
        for run in self._sweeps.values():
            run.take(report, now_s)

    def _take_sweep(self, state: SweepState) -> None:
        """What the user asked for then."""
        take_sweep(self._sweeps[state.of], state, self._engine.time_s())

    def _say_of_measuring(self, told: Told) -> None:
        """As it was said then; no key was pressed here that it would be the answer to."""
        kind = "info" if told.answer else "sweep"
        self._say(clean(told.text), "fault" if told.failed else kind)
        if told.mark:
            self.history.mark(Mark(self.wall_s(), told.mark))

    # Walking

    @property
    def offset_s(self) -> float:
        """From the recording's clock to that of the history."""
        return self._wall_offset_s

    def session(self) -> Session:
        """From the first tick to the last."""
        recording, offset_s = self._engine.recording, self._wall_offset_s
        return Session(
            recording.began_clock_s + offset_s,
            recording.ended_clock_s + offset_s,
            self.wall_s(),
            self._clock_shift_s,
        )

    def tick_at(self, wall_s: float) -> int:
        """The tick that shows a moment: the last one at or before it."""
        return self._engine.recording.tick_at(wall_s - self._wall_offset_s + SAME_S)

    def stops(self) -> list[Stop]:
        """Of the whole recording: each at the time of the tick that shows it."""
        return self.whole.stops()

    def next_stop(self, at_s: float, direction: int) -> Stop | None:
        return self.whole.next_stop(at_s, direction)

    def all_events(self) -> list[Stop]:
        return self.whole.all_events()

    def timeline(self) -> Timeline:
        """Zoomed, charts show what is around the moment, and not only what came before it."""
        shown = super().timeline()
        if self._zoom_s is None:
            return shown
        session = self.session()
        span_s = min(self._zoom_s, max(session.end_s - session.begin_s, 1.0))
        end_s = min(session.end_s, max(shown.now_s + span_s / 2, session.begin_s + span_s))
        return replace(
            shown,
            # The time axis says the time of day: "now" is only where one stands.
            now_s=math.nextafter(end_s, math.inf),
            end_s=end_s,
            span_s=span_s,
            cursor_s=shown.now_s,
            later=self.whole.history,
        )

    def note(self, text: str) -> None:
        """Keep a note beside the recording, which is not changed."""
        note = RecordingNote(clock_s=self._engine.time_s(), text=clean(text))
        self.whole.add_note(note)
        try:
            add_note(self._engine.recording.path, note)
        except ProdtopError as error:
            self.say(f"{error}; it is there until the recording is left", fault=True)
        else:
            self.say(f"note: {note.text}")

    @property
    def all_tried(self) -> tuple[Tried, ...]:
        return self.whole.tried

    def _cleaned(self, event: Event) -> Event:
        """The event as it may be shown. Every jump takes in all that came before, the same objects
        each time: what was cleaned once is kept beside what it was made of."""
        known = self._clean_events.get(id(event))
        if known is None or known[0] is not event:
            known = self._clean_events[id(event)] = (event, clean_event(event))
        return known[1]

    def _recall_peaks(self, before_s: float) -> None:
        """Curves from before a time, where the charts go back so far."""
        if super().timeline().span_s <= RECENT_S:
            return
        if self._peaks is None:
            recording = self._engine.recording
            everything = recording.peaks(recording.first_tick, recording.last_tick + 1)
            self._peaks = peak_table(everything, self._engine.length_s)
        self.history.recall(self._peaks.before(before_s), self._wall_offset_s)

    def _recall(self, tick: Tick) -> None:
        """Take in a tick of the past as far as something of it is still shown."""
        now_s, frame, host = tick.clock_s, tick.frame, tick.host
        if frame is not None:
            for before in tick.poll.passed_over:
                self._frame_loss.on_frame(frame.sequence - before, now_s)
            self._frame_loss.on_frame(frame.sequence, now_s)
            self._frame, self._frame_at_s = frame, now_s
            self._on_wall_clock(frame.wall_s, now_s)
            self.tried.take_in(frame, self.wall_s(now_s))
            disturbed = self._sweeping or self._quality.now.running
            self._speeds = after_frame(self._speeds, frame, disturbed=disturbed)
        if host is not None:
            self._host, self._host_at_s = host, now_s
            self._gpu.take(self._frame, host, now_s)
        wall_s = self.wall_s(now_s)
        if frame is not None or host is not None:
            self.history.recall_moment(wall_s, frame, host or self._fresh_host(now_s))
        if tick.ended:
            self._requests.on_finished(tick.ended, self._worker_clock(wall_s))

    def _wall_of(self, at_s: float, otherwise_s: float) -> float:
        if self._recalled_at_s is None:
            return super()._wall_of(at_s, otherwise_s)
        return self.wall_s() + (at_s - self._recalled_at_s)

    def mark(self) -> SessionMark:
        engine = self._engine
        halted = engine.paused or engine.at_end
        return SessionMark(
            MarkKind.HALTED if halted else MarkKind.PLAYING, engine.played_s(), engine.speed
        )


def _told_offset_s(recording: Recording) -> float | None:
    """From the recording's clock to Unix time, as its first figures told it."""
    for tick in recording.ticks(recording.first_tick):
        told = tick.frame or tick.host
        if told is not None:
            return told.wall_s - tick.clock_s
    return None
