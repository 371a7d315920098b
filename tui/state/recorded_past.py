"""The past of a session that is recorded now: its file has every poll, also what memory thinned."""

from collections.abc import Sequence
from pathlib import Path

from ...engine.protocol import Frame
from ...engine.records.recording.reader import Recording, RecordingError
from ...engine.records.recording.tick import Tick
from .history import PastMoment
from .requests import RequestBook

RECENT_S = 60.0
"""Requests that ended so long before a moment are in its table."""
FRESH_S = 1.0
"""A reading of the machine, or a frame, is of a moment so much later as well."""


class RecordedPast:
    """Reads a recording that goes on being written. Times are on the screen's clock."""

    def __init__(self) -> None:
        self._recording: Recording | None = None

    def at(self, path: Path, clock_s: float, clock_to_wall_s: float) -> PastMoment | None:
        """What the recording has of a moment, with its requests; `None` where it has nothing of
        then, or cannot be read: memory has what it has."""
        try:
            recording = self._opened(path, clock_s)
            if not recording.began_clock_s <= clock_s <= recording.ended_clock_s + FRESH_S:
                return None
            first, last = (recording.tick_at(at_s) for at_s in (clock_s - RECENT_S, clock_s))
            ticks = [*recording.ticks(first, last + 1)]
        except RecordingError:
            return None
        frames = [
            tick.frame
            for tick in ticks
            if tick.frame is not None and tick.clock_s >= clock_s - FRESH_S
        ]
        hosts = [
            tick.host
            for tick in ticks
            if tick.host is not None and tick.clock_s >= clock_s - FRESH_S
        ]
        if not frames:
            return None
        wall_s = ticks[-1].clock_s + clock_to_wall_s
        requests = _requests(ticks, clock_to_wall_s).at(clock_s + clock_to_wall_s)
        return PastMoment(wall_s, frames[-1], hosts[-1] if hosts else None, requests)

    def _opened(self, path: Path, clock_s: float) -> Recording:
        """The file as it is now, where what was opened does not reach as far."""
        known = self._recording
        if known is None or known.path != path or known.ended_clock_s < clock_s:
            self.close()
            known = self._recording = Recording(path)
        return known

    def close(self) -> None:
        """Let go of the file."""
        if self._recording is not None:
            self._recording.close()
            self._recording = None


def _requests(ticks: Sequence[Tick], clock_to_wall_s: float) -> RequestBook:
    book = RequestBook()
    frame: Frame | None = None
    frame_s = 0.0
    for tick in ticks:
        if tick.frame is not None:
            frame, frame_s = tick.frame, tick.clock_s + clock_to_wall_s
        if frame is None:
            continue
        ahead_s = frame_s - frame.at_s
        if tick.ended:
            book.on_finished(tick.ended, ahead_s.__add__)
        if tick.live is not None:
            book.on_live(tick.live, ahead_s.__add__)
    return book
