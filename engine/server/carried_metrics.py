"""The worker's counters, carried over the deaths of the workers that count them.

A worker counts from zero. Prometheus takes a counter that goes back for one that began anew, and
loses what was in between: so the server adds those of the workers before.
"""

import msgspec

from ..protocol.served import EngineMetrics, ExportedHistogram

LOST = "error"
"""The finish reason of requests that a worker took with it."""


class CarriedMetrics:
    """Makes the metrics of successive workers count as one server's.

    Counters, histograms and requests by reason are sums; gauges, and what is served, are the
    living worker's. What a worker counted after it was asked last is lost with it.
    """

    def __init__(self) -> None:
        self._latest: EngineMetrics | None = None
        """The living worker's, as it sent it."""
        self._before: EngineMetrics | None = None
        """Those that died, added up."""
        self._lost = 0
        """Requests of this server's that workers took with them."""

    def take(self, metrics: EngineMetrics) -> None:
        """The living worker has answered."""
        self._latest = metrics

    def total(self) -> EngineMetrics | None:
        """All of them as one; `None` before a first worker has answered. There are no gauges while
        there is no worker."""
        total = self._sum()
        if total is None or not self._lost:
            return total
        by_reason = {**total.by_reason, LOST: total.by_reason.get(LOST, 0) + self._lost}
        return msgspec.structs.replace(total, by_reason=by_reason)

    def close_worker(self, in_flight: int) -> None:
        """The worker has gone, and so many requests of this server's with it."""
        self._before, self._latest = self._sum(), None
        self._lost += in_flight

    def _sum(self) -> EngineMetrics | None:
        before, own = self._before, self._latest
        if before is None:
            return own
        if own is None:
            return msgspec.structs.replace(before, gauges={})
        return msgspec.structs.replace(
            own,
            started_at_wall_s=before.started_at_wall_s,
            counters={
                name: before.counters.get(name, 0.0) + own.counters.get(name, 0.0)
                for name in {**before.counters, **own.counters}
            },
            histograms={
                name: _added(before.histograms.get(name), own.histograms.get(name))
                for name in {**before.histograms, **own.histograms}
            },
            by_reason={
                name: before.by_reason.get(name, 0) + own.by_reason.get(name, 0)
                for name in {**before.by_reason, **own.by_reason}
            },
        )


def _added(before: ExportedHistogram | None, own: ExportedHistogram | None) -> ExportedHistogram:
    """Buckets of one name have the same bounds in every worker, which are of one version."""
    if before is None or own is None:
        return before or own or ExportedHistogram(counts=[], total=0.0)
    counts = [a + b for a, b in zip(before.counts, own.counts, strict=True)]
    return ExportedHistogram(counts=counts, total=before.total + own.total)
