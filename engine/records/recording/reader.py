"""Opening a recording. The file may come from anywhere: whatever is wrong with it is one error."""

import sqlite3
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from ...files.sqlite_file import connect_to_read, has_schema
from ...protocol.errors import BadInputError, CheckpointError
from ...text.cleaning import clean
from ..figure_bounds import check_numbers
from .database import APPLICATION_ID, SCHEMA_VERSION, TABLES, Peaks
from .decoding import Paths, TickDecoder, unpacked_times
from .encoding import Streams, joined
from .packing import LARGEST_UNPACKED_BYTES, UnpackingError, unpack_second, unpack_segment
from .stored_events import MOST_EVENTS, StoredEvent, StoredEvents
from .tick import Tick, tick_of
from .varints import MalformedTicksError

_LARGEST_TICK = 2**40
_SPAN = "first_tick, ticks, began_clock_s, ended_clock_s, began_wall_s, requests"


class RecordingError(BadInputError):
    """A file that is no recording, or one that this version cannot read."""


class Span(NamedTuple):
    """A row of `segments`, or all of `seconds` together: what it holds, and of when."""

    first_tick: int
    ticks: int
    began_clock_s: float
    ended_clock_s: float
    began_wall_s: float
    requests: int


class Recording:
    """A recording that is open to be read. Ticks are numbered; old ones may be gone.

    Methods raise `RecordingError` where the file turns out to be damaged.
    """

    def __init__(self, path: Path) -> None:
        """Raises `RecordingError`."""
        self.path = path
        self._name = clean(str(path))
        with self._errors():
            self._connection = connect_to_read(path)
        try:
            with self._errors():
                self._check_format()
                self.facts = {
                    clean(str(key)): clean(str(value))
                    for key, value in self._connection.execute(
                        "SELECT key, value FROM meta LIMIT 99"
                    )
                }
                self._paths = self._read_paths()
                self.spans = self._read_spans()
        except RecordingError:
            self.close()
            raise
        self._unpacked: tuple[int, Streams] | None = None
        self._events = StoredEvents(self._connection)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    # What there is

    @property
    def first_tick(self) -> int:
        return self.spans[0].first_tick

    @property
    def last_tick(self) -> int:
        return self.spans[-1].first_tick + self.spans[-1].ticks - 1

    @property
    def began_clock_s(self) -> float:
        return self.spans[0].began_clock_s

    @property
    def ended_clock_s(self) -> float:
        return self.spans[-1].ended_clock_s

    # Ticks

    def ticks(self, first: int, end: int | None = None, *, living_from: int = 0) -> Iterator[Tick]:
        """The ticks from number `first` on, up to `end` (not included). Those before `living_from`
        are without the requests in the system, which takes a fifth of the time."""
        place = bisect_right([span.first_tick for span in self.spans], first) - 1
        for index in range(max(0, place), len(self.spans)):
            span = self.spans[index]
            if end is not None and span.first_tick >= end:
                return
            yield from self._ticks_of(index, max(first, span.first_tick), end, living_from)

    def _ticks_of(
        self, index: int, first: int, end: int | None, living_from: int
    ) -> Iterator[Tick]:
        span = self.spans[index]
        with self._errors():
            streams = self._streams(index)
            if streams.ticks != span.ticks:
                raise MalformedTicksError("a segment has another number of ticks than it states")
            stored = self._events_by_tick(first, span.first_tick + span.ticks)
            times_s = self._clock_times(index)
            decoder = TickDecoder(self._paths, streams)
            for number, trees in enumerate(decoder.ticks(first - span.first_tick), first):
                if end is not None and number >= end:
                    return
                clock_s = times_s[number - span.first_tick]
                living = number >= living_from
                told = stored.get(number, ())
                events = [each.event for each in told if each.event is not None]
                sweeps = [each.sweep for each in told if each.sweep is not None]
                yield tick_of(clock_s, trees, events, sweeps, living=living)

    def tick_at(self, clock_s: float) -> int:
        """The number of the last tick at or before a time on the recording's clock; the first one
        for an earlier time."""
        place = bisect_right([span.began_clock_s for span in self.spans], clock_s) - 1
        if place < 0:
            return self.first_tick
        span = self.spans[place]
        if clock_s >= span.ended_clock_s:
            return span.first_tick + span.ticks - 1
        times = self._clock_times(place)
        return span.first_tick + max(0, bisect_right(times, clock_s) - 1)

    def time_of(self, number: int) -> float:
        """When a tick was, on the recording's clock."""
        place = bisect_right([span.first_tick for span in self.spans], number) - 1
        return self._clock_times(place)[number - self.spans[place].first_tick]

    def _clock_times(self, index: int) -> list[float]:
        """When each tick of a span was."""
        with self._errors():
            rows = self._connection.execute(
                f"SELECT began_clock_s, times, ticks {self._from(index)} ORDER BY first_tick"
            ).fetchall()
            return [
                time_s
                for began_clock_s, packed, ticks in rows
                for time_s in unpacked_times(float(began_clock_s), _blob(packed), int(ticks))
            ]

    def _streams(self, index: int) -> Streams:
        """The unpacked streams of a span; those of the last one asked for are kept."""
        first_tick = self.spans[index].first_tick
        if self._unpacked is None or self._unpacked[0] != first_tick:
            self._unpacked = (first_tick, self._unpack(index))
        return self._unpacked[1]

    def _unpack(self, index: int) -> Streams:
        rows = self._connection.execute(f"SELECT packed {self._from(index)} ORDER BY first_tick")
        if not self._is_open(index):
            return unpack_segment(_blob(rows.fetchone()[0]))
        parts, left = [], LARGEST_UNPACKED_BYTES
        for (packed,) in rows:
            parts.append(unpack_second(_blob(packed), left))
            left -= sum(len(getattr(parts[-1], name)) for name in Streams.__struct_fields__[1:])
        return joined(parts)

    def _is_open(self, index: int) -> bool:
        """Whether a span is what came after the last whole segment."""
        return self._ends_open and index == len(self.spans) - 1

    def _from(self, index: int) -> str:
        """Where the rows of a span are."""
        if self._is_open(index):
            return "FROM seconds"
        return f"FROM segments WHERE first_tick = {self.spans[index].first_tick:d}"

    # Events

    def events(self, first: int, end: int, most: int = MOST_EVENTS) -> list[StoredEvent]:
        """What happened from tick `first` up to `end` (not included), oldest first: the newest
        `most` of it."""
        with self._errors():
            return self._events.numbered(self._events.numbers(first, end, most))

    def past(self, end: int) -> tuple[list[StoredEvent], list[StoredEvent]]:
        """What happened before a tick, oldest first: of what is older than the newest
        `MOST_EVENTS` that which tells of the last sweeps of cells, and those."""
        with self._errors():
            numbers = self._events.numbers(self.first_tick, end, MOST_EVENTS)
            full = len(numbers) == MOST_EVENTS
            older = self._events.numbers_of_sweeps(end, numbers[0]) if full else []
            return self._events.numbered(older), self._events.numbered(numbers)

    def _events_by_tick(self, first: int, end: int) -> dict[int, list[StoredEvent]]:
        events: dict[int, list[StoredEvent]] = {}
        for stored in self.events(first, end):
            events.setdefault(stored.tick, []).append(stored)
        return events

    # What charts need

    def peaks(self, first: int, end: int) -> list[Peaks]:
        """What charts need of the whole segments from tick `first` up to `end`, oldest first."""
        with self._errors():
            rows = self._connection.execute(
                "SELECT peaks FROM segments WHERE first_tick >= ? AND first_tick + ticks <= ?"
                " ORDER BY first_tick",
                (first, end),
            )
            return [_peaks(_blob(packed)) for (packed,) in rows]

    # The format

    def _check_format(self) -> None:
        run = self._connection.execute
        application, version = (
            run(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        if application != APPLICATION_ID:
            raise RecordingError(f"{self._name} is no recording of prodtop")
        if version > SCHEMA_VERSION:
            raise RecordingError(
                f"{self._name} was recorded by a newer prodtop (schema {version}, and this one"
                f" reads {SCHEMA_VERSION}): upgrade prodtop to read it"
            )
        if not has_schema(self._connection, TABLES):
            raise RecordingError(f"{self._name} is damaged: its tables are not a recording's")

    def _read_paths(self) -> Paths:
        paths = Paths()
        rows = self._connection.execute("SELECT number, path FROM paths ORDER BY number")
        for place, (number, text) in enumerate(rows):
            if number != place:
                raise MalformedTicksError("a field's name is missing")
            paths.add(tuple(msgspec.json.decode(str(text), type=list[str | int])))
        return paths

    def _read_spans(self) -> list[Span]:
        spans = [
            _span(row)
            for row in self._connection.execute(f"SELECT {_SPAN} FROM segments ORDER BY first_tick")
        ]
        seconds = [
            _span(row)
            for row in self._connection.execute(f"SELECT {_SPAN} FROM seconds ORDER BY first_tick")
        ]
        _check_order(seconds)
        self._ends_open = bool(seconds)
        if seconds:
            spans.append(
                seconds[0]._replace(
                    ticks=sum(span.ticks for span in seconds),
                    ended_clock_s=seconds[-1].ended_clock_s,
                    requests=sum(span.requests for span in seconds),
                )
            )
        _check_order(spans)
        if not spans:
            raise RecordingError(f"{self._name} has no figures: the engine had shown none yet")
        return spans

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Whatever is wrong with the file as one error."""
        try:
            yield
        except FileNotFoundError as error:
            raise RecordingError(f"cannot read {self._name}: no such file") from error
        except CheckpointError as error:
            raise RecordingError(f"cannot read {clean(str(error))}") from error
        except (MalformedTicksError, UnpackingError) as error:
            raise RecordingError(f"{self._name} is damaged: {clean(str(error))}") from error
        except sqlite3.DatabaseError as error:
            raise RecordingError(f"{self._name} is no recording: {clean(str(error))}") from error
        except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
            raise RecordingError(f"{self._name} is damaged: {clean(str(error))}") from error


def _check_order(spans: Sequence[Span]) -> None:
    """Ticks follow each other, and so do their times."""
    for before, after in pairwise(spans):
        if after.first_tick != before.first_tick + before.ticks:
            raise MalformedTicksError("a part of it is missing in the middle")
        if after.began_clock_s < before.ended_clock_s:
            raise MalformedTicksError("its clock runs backwards")


def _span(row: tuple[object, ...]) -> Span:
    span = msgspec.convert(row, Span)
    check_numbers(span._asdict())
    if not 0 < span.ticks <= LARGEST_UNPACKED_BYTES or span.first_tick > _LARGEST_TICK:
        raise MalformedTicksError("a part of it has an impossible number of ticks")
    if not 0 <= span.began_clock_s <= span.ended_clock_s:
        raise MalformedTicksError("its clock runs backwards")
    return span


def _blob(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise MalformedTicksError("a part of it is of the wrong type")
    return value


def _peaks(packed: bytes) -> Peaks:
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(packed, LARGEST_UNPACKED_BYTES)
    except zlib.error as error:
        raise UnpackingError(f"cannot be decompressed: {error}") from None
    if not unpacking.eof:
        raise UnpackingError("is cut off, or decompresses to more than a recording has")
    return msgspec.msgpack.decode(content, type=Peaks)
