"""The six latencies of a request, and their percentiles per window.

Latency is what the client sees: it starts at the arrival, and a first byte that is delivered with
the last one came with the last one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..protocol import Distribution, Latency, Percentiles, Window
from .histogram import Durations, LogHistogram
from .windows import WindowedHistogram

QUANTILES = (0.50, 0.95, 0.99)


class Timestamps(Protocol):
    """When the parts of a request's life began, on the engine's monotonic clock.

    `first_byte_at_s` is when the client got its first byte; `None` where delivery is at the end.
    """

    @property
    def arrival_at_s(self) -> float: ...
    @property
    def queued_at_s(self) -> float | None: ...
    @property
    def scheduled_at_s(self) -> float | None: ...
    @property
    def first_token_at_s(self) -> float | None: ...
    @property
    def first_byte_at_s(self) -> float | None: ...
    @property
    def last_token_at_s(self) -> float | None: ...


class Timed(Timestamps, Protocol):
    """What the latencies need of a request that ended."""

    @property
    def token_times_s(self) -> Sequence[float]: ...
    @property
    def num_output_tokens(self) -> int: ...


@dataclass(frozen=True, slots=True, eq=False)
class RequestLatency:
    """The latencies of one request, in seconds; `None` where the request has no such latency.

    `itl_s` `[n - 1]` are the gaps between its tokens.
    """

    e2e_s: float
    ttfb_s: float
    ttft_s: float | None
    tpot_s: float | None
    queue_s: float | None
    itl_s: Durations


_NO_GAPS: Durations = np.empty(0)


def request_latency(
    request: Timed, ended_at_s: float, *, from_response_cache: bool = False
) -> RequestLatency:
    """The latencies of a request that ended at `ended_at_s`.

    E2E ends with the last token, or at `ended_at_s` where no token was made for this request. A hit
    in the response cache has a first byte and an end, but no queue and no tokens of its own.
    """
    last_at_s = ended_at_s if request.last_token_at_s is None else request.last_token_at_s
    byte_at_s = last_at_s if request.first_byte_at_s is None else request.first_byte_at_s
    e2e_s = last_at_s - request.arrival_at_s
    ttfb_s = min(byte_at_s, last_at_s) - request.arrival_at_s
    if from_response_cache:
        return RequestLatency(e2e_s, ttfb_s, None, None, None, _NO_GAPS)
    ttft_s = _since(request.arrival_at_s, request.first_token_at_s)
    tokens = request.num_output_tokens
    return RequestLatency(
        e2e_s=e2e_s,
        ttfb_s=ttfb_s,
        ttft_s=ttft_s,
        tpot_s=None if ttft_s is None or tokens < 2 else (e2e_s - ttft_s) / (tokens - 1),
        queue_s=_since(request.queued_at_s, request.scheduled_at_s),
        itl_s=np.diff(np.asarray(request.token_times_s, dtype=np.float64)),
    )


def _since(start_s: float | None, end_s: float | None) -> float | None:
    return None if start_s is None or end_s is None else end_s - start_s


class LatencyWindows:
    """The six latencies of the requests that ended, over each window.

    A request enters all of them at the moment it ends; that since the last switch only if it also
    arrived since then.
    """

    def __init__(self) -> None:
        self._histograms = {name: WindowedHistogram() for name in Latency.__struct_fields__}
        self._switched_at_s = -math.inf
        self._since_switch = {name: LogHistogram() for name in Latency.__struct_fields__}

    def on_switch(self, now_s: float) -> None:
        """From `now_s` on it is another strategy, precision or load."""
        self._switched_at_s = now_s
        self._since_switch = {name: LogHistogram() for name in Latency.__struct_fields__}

    def is_since_switch(self, arrival_at_s: float) -> bool:
        """Whether a request that arrived then is one of `Window.SWITCH`."""
        return arrival_at_s >= self._switched_at_s

    def record(self, latency: RequestLatency, now_s: float, arrival_at_s: float = math.inf) -> None:
        """Count a request that ended at `now_s`."""
        durations_s = {
            "e2e": latency.e2e_s,
            "ttfb": latency.ttfb_s,
            "ttft": latency.ttft_s,
            "tpot": latency.tpot_s,
            "queue": latency.queue_s,
        }
        since_switch = self.is_since_switch(arrival_at_s)
        for name, duration_s in durations_s.items():
            if duration_s is not None:
                self._histograms[name].add(duration_s, now_s)
                if since_switch:
                    self._since_switch[name].add(duration_s)
        self._histograms["itl"].add_many(latency.itl_s, now_s)
        if since_switch:
            self._since_switch["itl"].add_many(latency.itl_s)

    def over(self, window: Window, now_s: float) -> Latency:
        """The six over one window."""
        if window is Window.SWITCH:
            views = self._since_switch
        else:
            views = {
                name: histogram.view(window, now_s) for name, histogram in self._histograms.items()
            }
        return Latency(**{name: percentiles(view) for name, view in views.items()})

    def all_windows(self, now_s: float) -> dict[Window, Latency]:
        """The six over every window."""
        return {window: self.over(window, now_s) for window in Window}


def percentiles(histogram: LogHistogram) -> Percentiles | None:
    """A histogram of seconds as percentiles in milliseconds; `None` where it is empty."""
    mean_s = histogram.mean_s
    if mean_s is None:
        return None
    p50_s, p95_s, p99_s = histogram.quantiles(QUANTILES)
    return Percentiles(
        count=histogram.count,
        mean_ms=mean_s * 1e3,
        p50_ms=p50_s * 1e3,
        p95_ms=p95_s * 1e3,
        p99_ms=p99_s * 1e3,
    )


def distribution(of: Percentiles | None) -> Distribution | None:
    """Percentiles in the form that a bench cell carries, in milliseconds."""
    if of is None or of.mean_ms is None:
        return None
    if of.p50_ms is None or of.p95_ms is None or of.p99_ms is None:
        return None
    return Distribution(mean=of.mean_ms, p50=of.p50_ms, p95=of.p95_ms, p99=of.p99_ms)
