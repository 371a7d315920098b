"""Writing the file of a recording. One thread writes; a process that is killed leaves a whole file
behind, which lacks what came after the last commit."""

import json
import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ...files.sqlite_file import LockedFile, connect_to_write, create_locked, remove_database
from ...protocol import Command, Frame, Message
from ..columns import figures
from ..engine_gpu import engine_gpu
from ..pyramid import summarized
from .database import (
    APPLICATION_ID,
    COMMAND,
    MOST_SEGMENT_TICKS,
    PEAK_BUCKET_S,
    SCHEMA_VERSION,
    SEGMENT_S,
    TABLES,
    Peaks,
)
from .encoding import Streams, TickEncoder, joined, packed_times
from .packing import pack_second, pack_segment
from .retention import KEEP_ALL, Retention
from .sweep_state import SWEEP_KIND, SweepState
from .tick import LiveSlots, Tick, trees_of

Entry = Tick | Command
"""What is recorded: polls, and what the user asked for between them."""

_SPAN = "ticks, began_clock_s, ended_clock_s, began_wall_s, requests, times"


@dataclass(slots=True)
class _Segment:
    """Ticks that go into one row, from the tick `first_tick` on."""

    first_tick: int
    parts: list[Streams] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    began_wall_s: float = 0.0
    requests: int = 0
    points: list[tuple[float, dict[str, float | None]]] = field(default_factory=list)
    """When, and the columns that charts draw."""

    def is_full(self, segment_s: float) -> bool:
        """Whether it is `segment_s` long, or has as many ticks as are read at once."""
        times_s = self.times_s
        long = bool(times_s) and times_s[-1] - times_s[0] >= segment_s
        return long or len(times_s) >= MOST_SEGMENT_TICKS

    def add(self, ticks: Sequence[Tick], streams: Streams) -> None:
        """Add ticks and what they were encoded to."""
        if not self.times_s:
            self.began_wall_s = ticks[0].poll.wall_s
        self.parts.append(streams)
        self.times_s += [tick.clock_s for tick in ticks]
        self.requests += sum(len(tick.ended) for tick in ticks)

    def row(self) -> tuple[int, int, float, float, float, int, bytes]:
        """What the tables have in common."""
        times_s = self.times_s
        span = (len(times_s), times_s[0], times_s[-1], self.began_wall_s, self.requests)
        return (self.first_tick, *span, packed_times(times_s))

    def packed_peaks(self) -> bytes:
        """The extents of every column."""
        columns = {}
        for name in sorted({name for _, known in self.points for name in known}):
            points = [(at_s, known.get(name)) for at_s, known in self.points]
            measured = [(at_s, value) for at_s, value in points if value is not None]
            columns[name] = summarized(measured, PEAK_BUCKET_S)
        return zlib.compress(msgspec.msgpack.encode(Peaks(columns=columns)), 6)


class Store:
    """A new file, open for writing. Methods raise `sqlite3.Error` where the disk takes no more."""

    def __init__(
        self,
        path: Path,
        facts: dict[str, str],
        retention: Retention = KEEP_ALL,
        segment_s: float = SEGMENT_S,
    ) -> None:
        """`facts` are told in the table `meta`. Raises `OSError` (`FileExistsError` where there is
        something of that name) and `sqlite3.Error`; then no file is left."""
        self._path = path
        self._retention = retention
        self._segment_s = segment_s
        self._lock: LockedFile = create_locked(path)
        try:
            self._connection = connect_to_write(path)
            self._make_tables(facts)
        except sqlite3.Error:
            self._lock.close()
            with suppress(OSError):
                remove_database(path)
            raise
        self._encoder, self._slots = TickEncoder(), LiveSlots()
        self._paths = self._events = 0
        self._ticks = 0
        """Of the whole recording: the number of the next one."""
        self._frame: Frame | None = None
        self._segment = _Segment(0)

    def _make_tables(self, facts: dict[str, str]) -> None:
        run = self._connection.execute
        # Before the first table: pages that become free are given back at the end.
        run("PRAGMA auto_vacuum=INCREMENTAL")
        run(f"PRAGMA application_id={APPLICATION_ID}")
        run(f"PRAGMA user_version={SCHEMA_VERSION}")
        run("PRAGMA journal_mode=WAL")
        # A process that dies loses nothing that was committed; only a power cut might.
        run("PRAGMA synchronous=NORMAL")
        run("PRAGMA wal_autocheckpoint=256")
        run("BEGIN IMMEDIATE")
        for statement in TABLES.values():
            run(statement)
        self._connection.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
        run("COMMIT")

    def write(self, entries: Sequence[Entry]) -> None:
        """Write and commit what came since the last call."""
        ticks = [entry for entry in entries if isinstance(entry, Tick)]
        self._connection.execute("BEGIN IMMEDIATE")
        self._write_events(entries)
        if ticks:
            self._write_second(ticks)
        self._connection.execute("COMMIT")
        if self._segment.is_full(self._segment_s):
            self._close_segment()

    def _write_events(self, entries: Sequence[Entry]) -> None:
        tick = self._ticks
        newest = next((entry for entry in entries if isinstance(entry, Tick)), None)
        for entry in entries:
            if isinstance(entry, Tick):
                newest = entry
                messages: list[tuple[str, Message | SweepState]] = [
                    *((SWEEP_KIND, state) for state in entry.sweeps),
                    *((type(event).__name__, event) for event in entry.events),
                ]
                number, tick = tick, tick + 1
            else:
                messages, number = [(COMMAND + type(entry).__name__, entry)], tick
            for kind, message in messages:
                times = (0.0, 0.0, None) if newest is None else _times_of(newest)
                text = msgspec.json.encode(message).decode()
                row = (self._events, number, *times, kind, text)
                self._connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                self._events += 1

    def _write_second(self, ticks: Sequence[Tick]) -> None:
        for tick in ticks:
            self._encoder.add(trees_of(tick, self._slots))
            self._note_figures(tick)
        streams = self._encoder.take()
        for path in self._encoder.new_paths:
            self._connection.execute(
                "INSERT INTO paths VALUES (?, ?)", (self._paths, json.dumps(path))
            )
            self._paths += 1
        self._encoder.new_paths.clear()
        second = _Segment(self._ticks)
        second.add(ticks, streams)
        self._connection.execute(
            f"INSERT INTO seconds (first_tick, {_SPAN}, packed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*second.row(), pack_second(streams)),
        )
        self._segment.add(ticks, streams)
        self._ticks += len(ticks)

    def _note_figures(self, tick: Tick) -> None:
        self._frame = tick.frame or self._frame
        gpu = None if tick.host is None else engine_gpu(self._frame, tick.host.gpus)
        known = figures(tick.frame, tick.host, gpu)
        self._segment.points.append((tick.clock_s, known))

    def _close_segment(self) -> None:
        """Put the seconds since the last segment into one, which takes half of the bytes."""
        segment = self._segment
        if not segment.times_s:
            return
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute(
            f"INSERT INTO segments (first_tick, {_SPAN}, peaks, packed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*segment.row(), segment.packed_peaks(), pack_segment(joined(segment.parts))),
        )
        self._connection.execute("DELETE FROM seconds")
        self._retention.drop_old(self._connection, segment.times_s[-1])
        self._connection.execute("COMMIT")
        self._segment = _Segment(self._ticks)
        self._encoder.begin_segment()

    def close(self) -> None:
        """Finish the file: one plain file, without what SQLite keeps beside it. It can be read
        whether this succeeds or not."""
        try:
            self._close_segment()
            # Not `execute`, which would give back a single page.
            self._connection.executescript("PRAGMA incremental_vacuum")
            # Somebody may be reading it.
            with suppress(sqlite3.OperationalError):
                self._connection.execute("PRAGMA journal_mode=DELETE")
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of the file as it was after the last commit: writing has failed."""
        # Closing rolls back what was begun.
        self._connection.close()
        self._lock.close()


def _times_of(tick: Tick) -> tuple[float, float, float | None]:
    """When it was on the screen's clock, in Unix time, and on the worker's clock."""
    worker_s = None if tick.frame is None else tick.frame.at_s
    return tick.clock_s, tick.poll.wall_s, worker_s
