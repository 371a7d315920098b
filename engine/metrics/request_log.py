"""The requests of the last minutes, those in flight included, and what is known of their latencies.

What is seen at one moment of those that arrived in a span is a `Cohort`: some ended, some still
wait, and for those it is known how long they have.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from .histogram import Durations
from .latency import RequestLatency, Timed
from .survival import Flags

MOST_REQUESTS = 4_000
"""That many are remembered: a minute of 66 a second, ten seconds of 400. The percentiles of so
many take about 8 ms, once a second."""

Row = tuple[float, bool, bool, bool, bool, float, float, float, float]
"""A request at some moment: arrival; whether it finished, was computed, has a first token, has a
first byte; TTFT, TTFB and E2E, or the age where they are not over; TPOT."""


@dataclass(slots=True)
class _Seen:
    """A request, read from itself until it ends; then what it was."""

    arrival_at_s: float
    request: Timed | None
    ended_at_s: float = math.inf
    failed: bool = False
    first_token_at_s: float | None = None
    first_byte_at_s: float | None = None
    tpot_s: float | None = None
    computed: bool = True
    """Not from the response cache: it has tokens of its own."""
    final: Row | None = None
    """What it is from its end on."""

    def end(self, now_s: float) -> None:
        if self.request is not None:
            self.first_token_at_s = self.request.first_token_at_s
        self.request, self.ended_at_s = None, now_s
        self.final = _row(self, now_s)


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Requests by arrival, as they stand at the end of a span. All arrays are `[requests]`.

    Latencies are in seconds, where not `…_over` the age so far; `arrival_at_s` on the engine's
    clock. `tpot_s` is of what was generated so far, not a number for fewer than two tokens.
    """

    arrival_at_s: Durations
    finished: Flags
    computed: Flags
    ttft_s: Durations
    ttft_over: Flags
    ttfb_s: Durations
    ttfb_over: Flags
    e2e_s: Durations
    tpot_s: Durations


class RequestLog:
    """Remembers requests by arrival."""

    def __init__(self) -> None:
        self._seen: deque[_Seen] = deque(maxlen=MOST_REQUESTS)
        self._in_flight: dict[int, _Seen] = {}

    def on_arrival(self, arrival_at_s: float, request: Timed) -> None:
        """`request` is in the system; it is read until it ends."""
        seen = _Seen(arrival_at_s, request)
        self._seen.append(seen)
        self._in_flight[id(request)] = seen

    def on_finished(self, request: Timed, latency: RequestLatency, now_s: float) -> None:
        """`request` ended as it should."""
        seen = self._in_flight.pop(id(request), None)
        if seen is not None:
            seen.first_byte_at_s = seen.arrival_at_s + latency.ttfb_s
            seen.tpot_s = latency.tpot_s
            seen.computed = latency.ttft_s is not None
            seen.end(now_s)

    def on_failed(self, request: Timed, now_s: float) -> None:
        """`request` ended without its answer."""
        seen = self._in_flight.pop(id(request), None)
        if seen is not None:
            seen.failed = True
            seen.end(now_s)

    def cohort(self, from_s: float, until_s: float) -> Cohort:
        """The requests that arrived in a span, as they stood at its end: all of them, or those at
        its end that are remembered."""
        rows: list[Row] = []
        for seen in reversed(self._seen):
            if seen.arrival_at_s < from_s:
                break
            if seen.final is not None and seen.ended_at_s <= until_s:
                rows.append(seen.final)
            elif seen.arrival_at_s <= until_s:
                rows.append(_row(seen, until_s))
        table = np.array(rows, dtype=np.float64).reshape(len(rows), 9)
        flags = table[:, 1:5].astype(bool)
        return Cohort(
            arrival_at_s=table[:, 0],
            finished=flags[:, 0],
            computed=flags[:, 1],
            ttft_over=flags[:, 2],
            ttfb_over=flags[:, 3],
            ttft_s=table[:, 5],
            ttfb_s=table[:, 6],
            e2e_s=table[:, 7],
            tpot_s=table[:, 8],
        )


def _row(seen: _Seen, until_s: float) -> Row:
    """A request as it stood at `until_s`."""
    request = seen.request
    token_at_s = seen.first_token_at_s if request is None else request.first_token_at_s
    byte_at_s = seen.first_byte_at_s if request is None else request.first_byte_at_s
    # One that failed got no more after its end: it is known to have waited until then.
    known_at_s = min(until_s, seen.ended_at_s)
    got_token = token_at_s is not None and token_at_s <= known_at_s
    got_byte = byte_at_s is not None and byte_at_s <= known_at_s
    ttft_at_s = token_at_s if token_at_s is not None and got_token else known_at_s
    ttfb_at_s = byte_at_s if byte_at_s is not None and got_byte else known_at_s
    return (
        seen.arrival_at_s,
        seen.ended_at_s <= until_s and not seen.failed,
        seen.computed,
        got_token,
        got_byte,
        max(0.0, ttft_at_s - seen.arrival_at_s),
        max(0.0, ttfb_at_s - seen.arrival_at_s),
        max(0.0, known_at_s - seen.arrival_at_s),
        _tpot_s(seen),
    )


def _tpot_s(seen: _Seen) -> float:
    request = seen.request
    if request is None:
        return math.nan if seen.tpot_s is None else seen.tpot_s
    first_at_s, last_at_s = request.first_token_at_s, request.last_token_at_s
    if first_at_s is None or last_at_s is None or request.num_output_tokens < 2:
        return math.nan
    return (last_at_s - first_at_s) / (request.num_output_tokens - 1)
