"""Recordings for tests: what the scripted engine says, written by a `Store`."""

from collections.abc import Iterable
from pathlib import Path

from frames import EPOCH_S, play
from prodtop.engine.protocol import Report
from prodtop.engine.records.recording.database import SEGMENT_S
from prodtop.engine.records.recording.reader import Recording
from prodtop.engine.records.recording.retention import KEEP_ALL, Retention
from prodtop.engine.records.recording.store import Store
from prodtop.engine.records.recording.tick import Tick, as_recorded, poll_tick

CLOCK_S = 1000.0
"""The screen's clock at the first poll."""
FACTS = {"prodtop": "0.1.0", "began_wall_s": f"{EPOCH_S:.6f}"}


def ticks_of(polls: Iterable[list[Report]], interval_s: float = 0.25) -> list[Tick]:
    """The ticks of polls that come at an interval."""
    return [
        poll_tick(
            [as_recorded(report) for report in reports],
            CLOCK_S + number * interval_s,
            EPOCH_S + number * interval_s,
        )
        for number, reports in enumerate(polls)
    ]


def write_recording(
    path: Path,
    ticks: Iterable[Tick],
    retention: Retention = KEEP_ALL,
    *,
    segment_s: float = SEGMENT_S,
    together: int = 4,
) -> Path:
    """Write and finish a recording, some ticks a commit."""
    store = Store(path, FACTS, retention, segment_s)
    waiting = list(ticks)
    for start in range(0, len(waiting), together):
        store.write(waiting[start : start + together])
    store.close()
    return path


def recorded_session(
    path: Path, seconds: float = 60.0, *, segment_s: float = SEGMENT_S
) -> list[Tick]:
    """Record the scripted session to a file; returns its ticks."""
    ticks = ticks_of(play(seconds))
    write_recording(path, ticks, segment_s=segment_s)
    return ticks


def read_all(path: Path) -> list[Tick]:
    """All ticks of a recording."""
    recording = Recording(path)
    try:
        return list(recording.ticks(recording.first_tick))
    finally:
        recording.close()
