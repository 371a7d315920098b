"""A recording from its beginning to its end, as far as that is needed to walk through it: its log,
its marks and curves, what was tried, and where there is something to stop at."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ...engine.client.replay_engine import ReplayEngine
from ...engine.protocol import Frame, Switched, Window
from ...engine.records.columns import FRAME_COLUMNS
from ...engine.records.recording.database import PEAK_BUCKET_S
from ...engine.records.recording.notes import RecordingNote, read_notes
from ...engine.records.tried import Tried
from .history import History
from .moment import LogLine
from .stops import NOTE, QUIET_KINDS, SPIKE, SPIKE_COLUMNS, Stop, next_stop, stops_of
from .tried import TriedMemory

if TYPE_CHECKING:
    from .replay_monitor import ReplayMonitor

SAME_S = 1e-5
"""Times on the two clocks that are no further apart are of one tick."""
MOST_SETTINGS = 60
"""Changes of settings, the last ones, before which figures are looked up."""


class WholeRecording:
    """What a recording holds, read once it is asked for."""

    def __init__(self, shown: "ReplayMonitor", engine: ReplayEngine) -> None:
        """`shown` plays it: times are on its clock."""
        self._shown, self._recording = shown, engine.recording
        self._at_end: ReplayMonitor | None = None
        self._stops: list[Stop] | None = None
        """Times on the recording's clock."""
        self._exact: set[Stop] = set()
        self._tried: tuple[Tried, ...] | None = None

    def _monitor(self) -> "ReplayMonitor":
        """The recording as it is known at its end."""
        if self._at_end is None:
            monitor = type(self._shown)(ReplayEngine(self._recording), self._shown.config)
            monitor.set_window(Window.SESSION)
            monitor.seek(self._recording.last_tick)
            monitor.poll()
            self._at_end = monitor
        return self._at_end

    @property
    def history(self) -> History:
        """All curves, by their least and greatest values, and all marks."""
        return self._monitor().history

    # What happened

    def _log(self) -> tuple[LogLine, ...]:
        return self._monitor().moment().log

    def _on_ticks(self, found: list[Stop], offset_s: float) -> list[Stop]:
        """Stops at the times of the ticks that show them, on the recording's clock."""
        ticks = [self._recording.tick_at(stop.wall_s - offset_s + SAME_S) for stop in found]
        return [
            replace(stop, wall_s=self._recording.time_of(tick))
            for stop, tick in zip(found, ticks, strict=True)
        ]

    def _known(self) -> list[Stop]:
        if self._stops is None:
            monitor = self._monitor()
            found = stops_of(self._log(), monitor.history)
            self._stops = self._on_ticks(found, monitor.offset_s)
            self._stops += map(self._of_note, read_notes(self._recording.path))
            self._stops.sort(key=lambda stop: stop.wall_s)
        return self._stops

    def _of_note(self, note: RecordingNote) -> Stop:
        tick = self._recording.tick_at(note.clock_s + SAME_S)
        return Stop(self._recording.time_of(tick), NOTE, note.text)

    def add_note(self, note: RecordingNote) -> None:
        """What was just noted, whether a file has it or not."""
        known = self._known()
        stop = self._of_note(note)
        if stop not in known:
            known.append(stop)
            known.sort(key=lambda each: each.wall_s)

    def _shown_at(self, stop: Stop) -> Stop:
        return replace(stop, wall_s=stop.wall_s + self._shown.offset_s)

    def stops(self) -> list[Stop]:
        """What there is to stop at, in order of time."""
        return [self._shown_at(stop) for stop in self._known()]

    def all_events(self) -> list[Stop]:
        """Those, and what the log says beside."""
        quiet = [
            Stop(entry.wall_s, entry.kind, entry.text, entry.clock_shift_s)
            for entry in self._log()
            if entry.kind in QUIET_KINDS
        ]
        on_ticks = self._on_ticks(quiet, self._monitor().offset_s)
        everything = [*self.stops(), *map(self._shown_at, on_ticks)]
        return sorted(everything, key=lambda stop: stop.wall_s)

    def next_stop(self, at_s: float, direction: int) -> Stop | None:
        """The nearest one after a moment, or before it. Where a spike is, peaks tell within ten
        seconds: of the one that is gone to, the ticks do."""
        while True:
            known = self._known()
            shown = self.stops()
            found = next_stop(shown, at_s, direction)
            if found is None:
                return None
            stop = known[shown.index(found)]
            if stop.kind != SPIKE or stop in self._exact:
                return found
            known.remove(stop)
            exact = self._peak_of(stop)
            self._exact.add(exact)
            if exact not in known:
                known.append(exact)
            known.sort(key=lambda each: each.wall_s)

    def _peak_of(self, stop: Stop) -> Stop:
        """The spike at the tick with its greatest value."""
        recording = self._recording
        names = [name for name, each in SPIKE_COLUMNS.items() if stop.text.startswith(each.title)]
        begin_s = stop.wall_s // PEAK_BUCKET_S * PEAK_BUCKET_S
        first = recording.tick_at(begin_s)
        end = recording.tick_at(begin_s + PEAK_BUCKET_S) + 1
        values = [
            (value, -tick.clock_s)
            for tick in recording.ticks(first, end)
            if tick.frame is not None and (value := FRAME_COLUMNS[names[0]](tick.frame)) is not None
        ]
        return replace(stop, wall_s=-max(values)[1]) if values else stop

    # What was tried

    @property
    def tried(self) -> tuple[Tried, ...]:
        """Every choice of settings with its last steady figures: those before each change."""
        if self._tried is None:
            memory = TriedMemory()
            for frame, wall_s in self._last_frames():
                memory.take_in(frame, wall_s)
            self._tried = memory.records
        return self._tried

    def _last_frames(self) -> Iterator[tuple[Frame, float]]:
        """The frame before each change of settings, and the last of all, with its time of day."""
        recording = self._recording
        first, end = recording.first_tick, recording.last_tick + 1
        changes = [
            stored.tick
            for stored in recording.events(first, end)
            if stored.event is None or isinstance(stored.event, Switched)
        ]
        for tick in [*dict.fromkeys(changes[-MOST_SETTINGS:]), end]:
            found = [
                each
                for each in recording.ticks(max(first, tick - 1), tick)
                if each.frame is not None
            ]
            if found and found[-1].frame is not None:
                yield found[-1].frame, found[-1].clock_s + self._shown.offset_s
