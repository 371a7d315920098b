"""The requests of a load that have arrived: each counted, and kept until it is taken."""

from collections import deque
from collections.abc import Iterable


class CountedArrivals:
    """What every load has, whatever decides when a request arrives."""

    def __init__(self) -> None:
        self._made = 0
        self._rejected = 0
        self._in_flight = 0
        self._arrived: deque[tuple[int, float]] = deque()
        """Number and time of requests that have arrived and were not taken yet."""

    @property
    def in_flight(self) -> int:
        """Requests made and not yet ended."""
        return self._in_flight

    @property
    def made(self) -> int:
        """Requests made since the start, rejected ones too."""
        return self._made

    @property
    def rejected(self) -> int:
        """Requests that found no room, since the start."""
        return self._rejected

    def reject_taken(self) -> None:
        """The request taken last found no room after all, and so do those that came after it."""
        rejected = 1 + len(self._arrived)
        self._arrived.clear()
        self._rejected += rejected
        self._in_flight -= rejected

    def _fitting(self, due: int, room: int | None) -> int:
        """How many of `due` requests find room, where `room` may wait to be taken."""
        return due if room is None else max(0, min(due, room - len(self._arrived)))

    def _come(self, times_s: Iterable[float], kept: int, due: int) -> None:
        """`due` requests arrive; `times_s` are those of the first `kept`, which find room."""
        self._arrived.extend(enumerate(times_s, start=self._made))
        self._made += due
        self._rejected += due - kept
        self._in_flight += kept

    def _end_one(self) -> None:
        """A request ended. Raises ValueError where none is in flight."""
        if not self._in_flight:
            raise ValueError("no request is in flight")
        self._in_flight -= 1
