"""The time of a session: a monotonic clock here, and the time of day that its reports tell."""

import time
from collections.abc import Callable


class SessionClock:
    """Tells Unix time as the first report told it, so that a replayed session tells the time it was
    recorded at, and goes on from there however the wall clock is set.

    `clock` is monotonic. `clock_to_wall_s` leads from it to Unix time before the first report; this
    machine's now, unless given.
    """

    def __init__(self, clock: Callable[[], float], clock_to_wall_s: float | None) -> None:
        self._clock = clock
        self._clock_to_wall_s = (
            time.time() - clock() if clock_to_wall_s is None else clock_to_wall_s
        )
        self._forget_time()

    def _forget_time(self) -> None:
        """Have been told no time yet."""
        self._wall_offset_s = self._clock_to_wall_s
        self._wall_told = False
        self._clock_shift_s = 0.0
        """How far the wall clock has been set since the first report."""

    def wall_s(self, now_s: float | None = None) -> float:
        """Unix time now, or at a time of the clock, as the first report told it; as this machine
        told it before that."""
        return (self._clock() if now_s is None else now_s) + self._wall_offset_s

    def _told_time(self, wall_s: float, now_s: float) -> float:
        """A report says what time of day it is. The first one sets this clock: returns how far."""
        moved_s = wall_s - self.wall_s(now_s)
        if self._wall_told:
            self._clock_shift_s = moved_s
            return 0.0
        self._wall_told = True
        self._wall_offset_s += moved_s
        return moved_s
