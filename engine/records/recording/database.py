"""The SQLite file of a recording: its tables, and what its rows mean. See docs/sessions.md."""

import msgspec

from ..pyramid import Extent

SCHEMA_VERSION = 1
"""In `PRAGMA user_version`."""
APPLICATION_ID = 0x70746F70
"""`ptop`, in `PRAGMA application_id`."""

SUFFIX = ".ptop"
SEGMENT_S = 45.0
MOST_SEGMENT_TICKS = 600
PEAK_BUCKET_S = 10.0

TABLES = {
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "paths": "CREATE TABLE paths (number INTEGER PRIMARY KEY, path TEXT NOT NULL)",
    "segments": "CREATE TABLE segments (first_tick INTEGER PRIMARY KEY, ticks INTEGER NOT NULL,"
    " began_clock_s REAL NOT NULL, ended_clock_s REAL NOT NULL, began_wall_s REAL NOT NULL,"
    " requests INTEGER NOT NULL, times BLOB NOT NULL, peaks BLOB NOT NULL, packed BLOB NOT NULL)",
    "seconds": "CREATE TABLE seconds (first_tick INTEGER PRIMARY KEY, ticks INTEGER NOT NULL,"
    " began_clock_s REAL NOT NULL, ended_clock_s REAL NOT NULL, began_wall_s REAL NOT NULL,"
    " requests INTEGER NOT NULL, times BLOB NOT NULL, packed BLOB NOT NULL)",
    "events": "CREATE TABLE events (number INTEGER PRIMARY KEY, tick INTEGER NOT NULL,"
    " clock_s REAL NOT NULL, wall_s REAL NOT NULL, worker_s REAL, kind TEXT NOT NULL,"
    " message TEXT NOT NULL)",
    "events_by_tick": "CREATE INDEX events_by_tick ON events (tick)",
}
"""`paths` names the leaves of trees by their numbers, as JSON. `segments` holds a minute a row, in
order; `seconds` what has come since the last whole one; `times` is when each tick was after the
first. `events` holds what happened once, as JSON; `tick` is the poll that brought it, and commands
of the user come before their poll."""

COMMAND = "command "
"""What the kind of an event begins with that the user asked for."""


class Peaks(msgspec.Struct, frozen=True, kw_only=True):
    """What charts need of a segment when they show hours: extents by column, times by `clock_s`."""

    bucket_s: float = PEAK_BUCKET_S
    columns: dict[str, list[Extent]] = {}
