"""Counts of latencies in coarse steps, from which the screen draws distributions over time."""

from bisect import bisect_right

from ..protocol import LATENCY_EDGES_MS, LatencyCounts
from .latency import RequestLatency


class LatencyCounter:
    """How many requests had which TTFT, TPOT and E2E since the session began.

    The counts only grow: whoever has seen them twice knows what came between, whichever frames
    were dropped on the way.
    """

    def __init__(self) -> None:
        self._ttft, self._tpot, self._e2e = ([0] * (len(LATENCY_EDGES_MS) + 1) for _ in range(3))

    def record(self, latency: RequestLatency) -> None:
        """Count a request that ended."""
        for counts, latency_s in (
            (self._ttft, latency.ttft_s),
            (self._tpot, latency.tpot_s),
            (self._e2e, latency.e2e_s),
        ):
            if latency_s is not None:
                counts[bisect_right(LATENCY_EDGES_MS, latency_s * 1e3)] += 1

    def counts(self) -> LatencyCounts:
        """What was counted so far."""
        return LatencyCounts(ttft=[*self._ttft], tpot=[*self._tpot], e2e=[*self._e2e])
