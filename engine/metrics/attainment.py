"""Goodput and attainment: how many requests stay within the limits that the user set.

Goodput after DistServe (Zhong et al., OSDI 2024): requests per second that met every SLO. Requests
that are still in flight and over a limit already are missed: whoever waits longest must not be left
out because he waits.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np

from ..protocol import SLO_NAMES, WINDOW_SECONDS, Attainment, SloSpec, Window
from .latency import RequestLatency, Timestamps
from .windows import WindowedCounter

_BIN_S = 0.5

_OF_THE_WAITING = {"ttft": 0, "ttfb": 0, "e2e": 0, "queue": 1}
"""The latencies of a request that has not begun, and what they count from: 0 its arrival, 1 when it
was queued."""


class InFlight(Timestamps, Protocol):
    """What is asked of a request that has not ended."""

    @property
    def longest_gap_s(self) -> float: ...
    @property
    def max_tokens(self) -> int: ...


def longest_s(latency: RequestLatency) -> dict[str, float | None]:
    """What is held against the limits of a request that ended: of its ITL the longest gap."""
    return {
        "ttft": latency.ttft_s,
        "ttfb": latency.ttfb_s,
        "tpot": latency.tpot_s,
        "itl": float(latency.itl_s.max()) if latency.itl_s.size else None,
        "e2e": latency.e2e_s,
        "queue": latency.queue_s,
    }


def at_least_s(request: InFlight, now_s: float) -> dict[str, float]:
    """The least that each latency of a request in flight can still become.

    Its TPOT is lowest if all tokens that it may generate were there now.
    """
    first_s, queued_s = request.first_token_at_s, request.queued_at_s
    least = {
        "ttft": (now_s if first_s is None else first_s) - request.arrival_at_s,
        "ttfb": (now_s if request.first_byte_at_s is None else request.first_byte_at_s)
        - request.arrival_at_s,
        "e2e": now_s - request.arrival_at_s,
    }
    if queued_s is not None:
        least["queue"] = (
            now_s if request.scheduled_at_s is None else request.scheduled_at_s
        ) - queued_s
    if first_s is not None and request.last_token_at_s is not None and request.max_tokens > 1:
        least["itl"] = max(request.longest_gap_s, now_s - request.last_token_at_s)
        least["tpot"] = (now_s - first_s) / (request.max_tokens - 1)
    return least


class AttainmentMeter:
    """Judges requests by the limits as they end, and those in flight when it is asked."""

    def __init__(self, start_s: float, slo: SloSpec) -> None:
        self._start_s = start_s
        self.set_slo(slo, start_s)

    @property
    def slo(self) -> SloSpec:
        """The limits in force."""
        return self._slo

    def set_slo(self, slo: SloSpec, now_s: float) -> None:
        """Judge by these limits from now on. What was judged by others is forgotten."""

        def counter() -> WindowedCounter:
            return WindowedCounter(now_s, bin_s=_BIN_S, capacity_s=WINDOW_SECONDS[Window.M5])

        self._slo = slo
        limits_ms = {name: slo.limit_ms(name) for name in SLO_NAMES}
        self._limits_s = {name: ms / 1e3 for name, ms in limits_ms.items() if ms is not None}
        self._ended, self._failed, self._good = counter(), counter(), counter()
        self._judged = {name: counter() for name in self._limits_s}
        self._within = {name: counter() for name in self._limits_s}

    def on_finished(self, latency: RequestLatency, now_s: float) -> None:
        """A request ended as it should. A latency that it does not have breaks no limit."""
        self._ended.add(1, now_s)
        values_s, good = longest_s(latency), True
        for name, limit_s in self._limits_s.items():
            value_s = values_s[name]
            if value_s is None:
                continue
            self._judged[name].add(1, now_s)
            if value_s <= limit_s:
                self._within[name].add(1, now_s)
            else:
                good = False
        if good:
            self._good.add(1, now_s)

    def on_failed(self, now_s: float) -> None:
        """A request ended without its answer: within no limit."""
        self._ended.add(1, now_s)
        self._failed.add(1, now_s)
        for judged in self._judged.values():
            judged.add(1, now_s)

    def all_windows(
        self, in_flight: Iterable[InFlight], spans_s: Mapping[Window, float], now_s: float
    ) -> dict[Window, Attainment]:
        """Goodput and attainment over every window, of requests that ended and of those that are
        `in_flight` now."""
        over_any, over = self._over(in_flight, now_s)
        return {
            window: self._attainment(span_s, over_any, over, now_s)
            for window, span_s in spans_s.items()
        }

    def _over(self, in_flight: Iterable[InFlight], now_s: float) -> tuple[int, dict[str, int]]:
        """How many requests in flight are over any limit, and over each."""
        over, over_any = dict.fromkeys(self._limits_s, 0), 0
        waiting: list[tuple[float, float]] = []
        for request in in_flight:
            if request.scheduled_at_s is None and request.queued_at_s is not None:
                waiting.append((request.arrival_at_s, request.queued_at_s))
                continue
            least, is_over = at_least_s(request, now_s), False
            for name, limit_s in self._limits_s.items():
                if least.get(name, 0.0) > limit_s:
                    over[name] += 1
                    is_over = True
            over_any += is_over
        # There may be a hundred thousand that have not begun: together, in a few array operations.
        ages_s = now_s - np.array(waiting, dtype=np.float64).reshape(-1, 2)
        any_over = np.zeros(len(waiting), dtype=bool)
        for name, limit_s in self._limits_s.items():
            if name in _OF_THE_WAITING:
                is_over_limit = ages_s[:, _OF_THE_WAITING[name]] > limit_s
                over[name] += int(is_over_limit.sum())
                any_over |= is_over_limit
        return over_any + int(any_over.sum()), over

    def _attainment(
        self, span_s: float, over_any: int, over: Mapping[str, int], now_s: float
    ) -> Attainment:
        def amount(counter: WindowedCounter) -> int:
            return round(counter.over(span_s, now_s)[0])

        ended, good = amount(self._ended), amount(self._good)
        judged = {name: amount(self._judged[name]) + over[name] for name in self._limits_s}
        return Attainment(
            ended=ended,
            over_in_flight=over_any,
            failed=amount(self._failed),
            goodput_per_s=self._good.rate(span_s, now_s) if self._limits_s else None,
            within_all=good / (ended + over_any) if self._limits_s and ended + over_any else None,
            within={
                name: amount(self._within[name]) / number
                for name, number in judged.items()
                if number
            },
        )
