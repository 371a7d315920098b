"""Latencies of the scripted engine: pure functions of the second and the strategy."""

import math

from prodtop.engine.protocol import (
    LATENCY_EDGES_MS,
    Latency,
    LatencyCounts,
    Percentiles,
    StrategyName,
)

STREAMING = (StrategyName.STREAMING, StrategyName.HYBRID)


def wave(second: float, period_s: float, phase: float = 0.0) -> float:
    """A smooth value in −1 … 1."""
    return math.sin(2 * math.pi * (second / period_s + phase))


def percentiles(p50_ms: float, second: float, *, count: int = 640) -> Percentiles:
    """A plausible right-skewed latency around a median."""
    scale = 1 + 0.08 * wave(second, 17)
    return Percentiles(
        count=count,
        mean_ms=1.12 * p50_ms * scale,
        p50_ms=p50_ms * scale,
        p95_ms=2.1 * p50_ms * scale,
        p99_ms=3.4 * p50_ms * scale,
    )


def latency(second: float, strategy: StrategyName) -> Latency:
    """The six latencies of a strategy: without streaming the first byte comes with the last."""
    single = strategy is StrategyName.SINGLE
    ttft, e2e = (1840.0, 2100.0) if single else (41.8, 612.0)
    return Latency(
        ttft=percentiles(ttft, second),
        ttfb=percentiles(ttft if strategy in STREAMING else e2e, second),
        tpot=percentiles(2.1 if single else 8.9, second),
        itl=percentiles(1.9 if single else 8.7, second, count=41_000),
        e2e=percentiles(e2e, second),
        queue=percentiles(1790.0 if single else 4.2, second),
    )


def latency_counts(second: float) -> LatencyCounts:
    """Counts that grow by 38 requests a second, in the shape of `percentiles`."""

    def counts(p50_ms: float) -> list[int]:
        middle = sum(edge <= p50_ms for edge in LATENCY_EDGES_MS)
        steps = [0] * (len(LATENCY_EDGES_MS) + 1)
        for step, share in ((-1, 0.2), (0, 0.4), (1, 0.25), (2, 0.1), (4, 0.05)):
            steps[middle + step] = int(share * 38 * second)
        return steps

    return LatencyCounts(ttft=counts(41.8), tpot=counts(8.9), e2e=counts(612.0))
