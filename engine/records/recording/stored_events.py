"""The table of events of an open recording. Methods raise what SQLite and msgspec do, and
`ValueError`, where it is damaged."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ...protocol import Event
from ...text.cleaning import clean
from ..figure_bounds import check_numbers
from .database import COMMAND
from .sweep_state import SWEEP_KIND, SweepOf, SweepState, decoded_sweep

MOST_EVENTS = 2_000
"""Read at once, the newest."""
MOST_KNOWN_EVENTS = 20_000
_SWEEP_KINDS = (
    SWEEP_KIND, "CellResult", "CellSkipped", "BenchDone", "ChildDied", "Fault", "Ready",
)  # fmt: skip
"""The events that a sweep goes by."""


class StoredEvent(NamedTuple):
    """An event with the poll that brought it. `event` is `None` for what the user asked for
    (`sweep`, where that was of cells); `worker_s` is the worker's clock in the frame of that poll,
    `None` where it had none."""

    tick: int
    clock_s: float
    wall_s: float
    kind: str
    event: Event | None
    worker_s: float | None
    sweep: SweepState | None = None


class StoredEvents:
    """Reads events by their numbers, each once: every jump asks for all that was before it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known_events: dict[int, StoredEvent] = {}
        """By their numbers."""
        self._sweeps: list[int] | None = None
        """The numbers of what was asked for of sweeps, once they are looked for."""

    def numbers(self, first: int, end: int, most: int) -> list[int]:
        """Those from tick `first` up to `end` (not included), oldest first: the newest `most`."""
        rows = self._connection.execute(
            "SELECT number FROM events WHERE tick >= ? AND tick < ? ORDER BY number DESC LIMIT ?",
            (first, end, most),
        ).fetchall()
        return [number for (number,) in reversed(rows)]

    def numbers_of_sweeps(self, end: int, before: int) -> list[int]:
        """The events numbered below `before` by which the last sweep of each kind that began before
        the tick `end` is worked out."""
        if self._sweeps is None:
            rows = self._connection.execute(
                f"SELECT number FROM events WHERE kind = ? ORDER BY number LIMIT {MOST_EVENTS}",
                (SWEEP_KIND,),
            ).fetchall()
            self._sweeps = [number for (number,) in rows]
        begins: dict[SweepOf, int] = {}
        for number, stored in zip(self._sweeps, self.numbered(self._sweeps), strict=True):
            if stored.tick < end and stored.sweep is not None and stored.sweep.asked != "stop":
                begins[stored.sweep.of] = number
        if not begins:
            return []
        rows = self._connection.execute(
            "SELECT number FROM events WHERE number >= ? AND number < ? AND kind IN"
            f" ({','.join('?' * len(_SWEEP_KINDS))}) ORDER BY number LIMIT {MOST_EVENTS}",
            (min(begins.values()), before, *_SWEEP_KINDS),
        ).fetchall()
        return [number for (number,) in rows]

    def numbered(self, numbers: Sequence[int]) -> list[StoredEvent]:
        """The events of these numbers, which are there."""
        self._read(numbers)
        return [self._known_events[number] for number in numbers]

    def _read(self, numbers: Sequence[int]) -> None:
        """Read events that are not known yet. Each jump asks for all that was before it."""
        if len(self._known_events) > MOST_KNOWN_EVENTS:
            self._known_events.clear()
        unknown = [number for number in numbers if number not in self._known_events]
        for some in (unknown[at : at + 500] for at in range(0, len(unknown), 500)):
            rows = self._connection.execute(
                "SELECT number, tick, clock_s, wall_s, kind, message, worker_s FROM events"
                f" WHERE number IN ({','.join('?' * len(some))})",
                some,
            )
            self._known_events.update((number, _event(row)) for number, *row in rows)


class _Row(NamedTuple):
    tick: int
    clock_s: float
    wall_s: float
    kind: str
    message: str
    worker_s: float | None


_EVENTS: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
"""Made once: what the union is made of is worked out each time else."""


def _event(row: Sequence[object]) -> StoredEvent:
    tick, clock_s, wall_s, kind, message, worker_s = msgspec.convert(row, _Row)
    event = None if kind.startswith(COMMAND) else _EVENTS.decode(message)
    if event is not None:
        check_numbers(msgspec.structs.asdict(event))
    sweep = decoded_sweep(message) if kind == SWEEP_KIND else None
    return StoredEvent(tick, clock_s, wall_s, clean(kind), event, worker_s, sweep)
