"""What a recording keeps: its oldest part goes first."""

import sqlite3
from typing import NamedTuple


class Retention(NamedTuple):
    """The most that is kept, in seconds and in bytes of compressed data; `None`: no limit."""

    age_s: float | None = None
    size_bytes: int | None = None

    def drop_old(self, connection: sqlite3.Connection, now_clock_s: float) -> None:
        """Delete segments beyond the limits, but never the last one, and the events before the
        first that is left: all but what the engine said of itself when it started.

        Within a transaction. Ages are by the recording's own clock: the wall clock may be set.
        """
        first = self._first_kept(connection, now_clock_s)
        if first is None:
            return
        connection.execute("DELETE FROM segments WHERE first_tick < ?", (first,))
        connection.execute(
            "DELETE FROM events WHERE tick < ? AND kind NOT IN ('Ready', 'ChildStarted')", (first,)
        )

    def _first_kept(self, connection: sqlite3.Connection, now_clock_s: float) -> int | None:
        """The first tick to keep; `None` where nothing is to go."""
        if self == KEEP_ALL:
            return None
        rows = connection.execute(
            "SELECT first_tick, ended_clock_s, length(packed) + length(peaks) FROM segments"
            " ORDER BY first_tick DESC"
        ).fetchall()
        size = 0
        kept: int | None = None
        for first_tick, ended_clock_s, length in rows:
            size += length
            too_old = self.age_s is not None and now_clock_s - ended_clock_s > self.age_s
            too_large = self.size_bytes is not None and size > self.size_bytes
            if kept is not None and (too_old or too_large):
                return kept
            kept = first_tick
        return None


KEEP_ALL = Retention()
