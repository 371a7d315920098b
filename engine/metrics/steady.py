"""What the settings in use do once they have settled: the span that counts, and its figures.

A span is steady from the end of the first request that arrived after the last switch or pause.
What came before it is that one's own transient: requests that were in flight, kernels compiled,
a batch that fills.
"""

from collections import deque

import msgspec

from ..protocol import Percentile, Summary
from .latency import RequestLatency, Timed
from .request_log import Cohort, RequestLog
from .survival import LEAST_REQUESTS, censored_percentile, percentile_ms
from .windows import WindowedCounter

LEAST_S = 3.0
ENOUGH_S = 10.0
"""A steady span is compared from the first on, and refined up to the second."""

LONGEST_S = 60.0
"""… or up to this, while the TTFT is only known from below."""

RECENT_S = 5.0
"""What is said of the queue before a span is steady is of that time."""

_SPANS_S = (ENOUGH_S, 20.0, 40.0, LONGEST_S)
_CAPACITY_S = 300.0
_MEMORY_S = 90.0

LEAST_GROWTH = 3.0
GROWTH_SHARE = 0.03
"""A system that grew by three requests and by three of a hundred arrivals is filling."""


class SteadyMeter:
    """Follows requests and tokens since the last switch or pause."""

    def __init__(self, start_s: float) -> None:
        def counter() -> WindowedCounter:
            return WindowedCounter(start_s, capacity_s=_CAPACITY_S)

        self._decode = counter()
        self._arrived = counter()
        self._left = counter()
        self._failed = counter()
        self._requests = RequestLog()
        self._memory: deque[tuple[float, int]] = deque()
        self.begun_at_s = start_s
        """When the last switch or pause ended."""
        self.steady_from_s: float | None = None

    def begin(self, now_s: float) -> None:
        """Something else is served from now on, or the engine stood still until now."""
        self.begun_at_s = now_s
        self.steady_from_s = None

    def on_decode(self, tokens: int, now_s: float) -> None:
        """`tokens` were generated."""
        self._decode.add(tokens, now_s)

    def on_memory(self, used_bytes: int, now_s: float) -> None:
        """The engine's process holds `used_bytes` on its device: report it with every frame."""
        self._memory.append((now_s, used_bytes))
        while len(self._memory) > 1 and self._memory[1][0] < now_s - _MEMORY_S:
            self._memory.popleft()

    def on_arrival(self, arrival_at_s: float, now_s: float, request: Timed | None) -> None:
        """A request is in the system."""
        self._arrived.add(1, now_s)
        if request is not None:
            self._requests.on_arrival(arrival_at_s, request)

    def on_finished(self, request: Timed, latency: RequestLatency, now_s: float) -> None:
        """A request ended as it should."""
        self._left.add(1, now_s)
        self._requests.on_finished(request, latency, now_s)
        new = request.arrival_at_s >= self.begun_at_s
        # A cached response says nothing of how the engine computes, unless it only serves those.
        telling = latency.ttft_s is not None or now_s - self.begun_at_s >= LEAST_S
        if new and telling and self.steady_from_s is None:
            self.steady_from_s = now_s

    def on_failed(self, now_s: float, request: Timed | None) -> None:
        """A request ended without its answer."""
        self._left.add(1, now_s)
        self._failed.add(1, now_s)
        if request is not None:
            self._requests.on_failed(request, now_s)

    def steady(self, until_s: float, now_s: float) -> Summary | None:
        """The figures of the steady span up to `until_s`; `None` while it is too short for any.

        Of its last ten seconds, or of more, up to a minute, where these do not tell TTFT and E2E.
        """
        if self.steady_from_s is None or until_s < now_s - _CAPACITY_S + 2 * LONGEST_S:
            return None
        first_s = max(self.steady_from_s, until_s - LONGEST_S)
        for span_s in _SPANS_S:
            from_s = max(first_s, until_s - span_s)
            cohort = self._requests.cohort(from_s, until_s)
            found = self._summary(cohort, from_s, until_s, now_s)
            if from_s <= first_s or (_is_known(found.ttft_p95) and _is_known(found.e2e_p95)):
                break
        return found if _tells_enough(found.span_s, cohort) else None

    def so_far(self, now_s: float) -> Summary:
        """What is known since the last switch or pause, steady or not."""
        from_s = max(self.begun_at_s, now_s - LONGEST_S)
        found = self._summary(self._requests.cohort(from_s, now_s), from_s, now_s, now_s)
        # Users that came with the switch came once: that is a step, and no growth.
        growth_per_s, growing = self._growth(max(from_s, now_s - RECENT_S), now_s, now_s)
        return msgspec.structs.replace(found, growth_per_s=growth_per_s, growing=growing)

    def _growth(self, from_s: float, until_s: float, now_s: float) -> tuple[float, bool]:
        """By how many requests a second the system filled, and whether that is no coincidence."""
        arrived, covered_s = self._arrived.between(from_s, until_s, now_s)
        growth = arrived - self._left.between(from_s, until_s, now_s)[0]
        growing = growth >= max(LEAST_GROWTH, GROWTH_SHARE * arrived)
        return growth / covered_s if covered_s > 0.0 else 0.0, growing

    def _summary(self, cohort: Cohort, from_s: float, until_s: float, now_s: float) -> Summary:
        def amount(counter: WindowedCounter) -> float:
            return counter.between(from_s, until_s, now_s)[0]

        tokens, covered_s = self._decode.between(from_s, until_s, now_s)
        left, failed = amount(self._left), amount(self._failed)
        growth_per_s, growing = self._growth(from_s, until_s, now_s)
        computed = cohort.computed
        tpot_s = cohort.tpot_s[cohort.tpot_s >= 0.0]
        ttft_s, ttft_over = cohort.ttft_s[computed], cohort.ttft_over[computed]
        return Summary(
            span_s=round(until_s - from_s, 3),
            arrivals=round(amount(self._arrived)),
            requests=round(left - failed),
            failed=round(failed),
            decode_tok_s=tokens / covered_s if covered_s > 0.0 else 0.0,
            growth_per_s=growth_per_s,
            growing=growing,
            memory_bytes=self._memory_at(until_s),
            ttft_p50=censored_percentile(ttft_s, ttft_over, 0.5, growing=growing),
            ttft_p95=censored_percentile(ttft_s, ttft_over, 0.95, growing=growing),
            ttfb_p95=censored_percentile(cohort.ttfb_s, cohort.ttfb_over, 0.95, growing=growing),
            e2e_p95=censored_percentile(cohort.e2e_s, cohort.finished, 0.95, growing=growing),
            tpot_p50_ms=percentile_ms(tpot_s, 0.5),
            tpot_p95_ms=percentile_ms(tpot_s, 0.95),
        )

    def _memory_at(self, at_s: float) -> int | None:
        return next((used for read_s, used in reversed(self._memory) if read_s <= at_s), None)


def _is_known(percentile: Percentile | None) -> bool:
    return percentile is not None and not percentile.at_least


def _tells_enough(span_s: float, cohort: Cohort) -> bool:
    """Long enough, with enough requests that ended: fewer in a longer span."""
    if span_s >= ENOUGH_S:
        return bool(cohort.finished.any()) or cohort.arrival_at_s.size >= LEAST_REQUESTS
    return span_s >= LEAST_S and int(cohort.finished.sum()) >= LEAST_REQUESTS
