"""What the server counts of its own: answers, streams, refusals, clients that went away."""

import time
from collections import Counter
from collections.abc import Callable
from http import HTTPMethod, HTTPStatus
from typing import Final, NamedTuple

MOST_LABELS: Final = 200
"""So many combinations of labels are counted apart: clients choose paths, and are not trusted."""
OTHER: Final = "other"

_METHODS: Final = frozenset(HTTPMethod)


class Answered(NamedTuple):
    """Answers are counted by these; `status` is HTTP's."""

    route: str
    method: str
    status: int


class HttpCounters:
    """Counts since the server's start. All calls are made on the event loop's thread.

    A `route` is that of the table of routes, as `/v1/completions`; `None` where none was found.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.started_at_wall_s = time.time()
        self._clock = clock
        self._started_s = clock()
        self.answered: Counter[Answered] = Counter()
        self.rejected: Counter[str] = Counter()
        self.open_requests = 0
        self.open_streams = 0
        self.client_aborts = 0
        self.served = 0
        """Requests for texts that got one."""
        self.unavailable = 0
        """Requests for texts that were failed or turned away, for no fault of their own."""

    @property
    def uptime_s(self) -> float:
        """Since the server's start."""
        return self._clock() - self._started_s

    def by_class(self) -> dict[str, int]:
        """How many were answered by each class of status: `2xx` …"""
        classes: Counter[str] = Counter()
        for answer, number in self.answered.items():
            classes[f"{answer.status // 100}xx"] += number
        return dict(classes)

    def on_answered(self, route: str | None, method: str, status: int) -> None:
        """A request was answered; a stream counts by the status that it began with."""
        known = method if method in _METHODS else OTHER
        answer = Answered(OTHER if route is None else route, known, status)
        if answer not in self.answered and len(self.answered) >= MOST_LABELS:
            answer = Answered(OTHER, OTHER, status // 100 * 100)
        self.answered[answer] += 1

    def on_text_asked(self, status: int, *, broken: bool, over_quota: bool) -> None:
        """A request for a text has ended; `broken`: its answer began, and could not be finished.

        One that is wrong itself, or over what its key may use, says nothing of the server.
        """
        turned_away = status == HTTPStatus.TOO_MANY_REQUESTS and not over_quota
        if broken or turned_away or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.unavailable += 1
        elif status < HTTPStatus.BAD_REQUEST:
            self.served += 1

    def on_stream_opened(self) -> None:
        """A streamed answer begins."""
        self.open_streams += 1

    def on_stream_closed(self) -> None:
        """A streamed answer ended, however. Raises ValueError where none is open."""
        if not self.open_streams:
            raise ValueError("no stream is open")
        self.open_streams -= 1

    def on_rejected(self, reason: str) -> None:
        """A request came while there was no room for it: it was answered by 429 or 503."""
        if reason not in self.rejected and len(self.rejected) >= MOST_LABELS:
            reason = OTHER
        self.rejected[reason] += 1

    def on_client_gone(self) -> None:
        """A client went away before its answer was complete."""
        self.client_aborts += 1
