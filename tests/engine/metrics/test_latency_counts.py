"""Counts of latencies: each request once, in the step that holds it."""

from itertools import pairwise
from math import inf

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.metrics.latency import RequestLatency
from prodtop.engine.metrics.latency_counts import LatencyCounter
from prodtop.engine.protocol import LATENCY_EDGES_MS

latencies_s = st.floats(0.0, 20_000.0)


def latency(ttft_s: float | None, tpot_s: float | None, e2e_s: float) -> RequestLatency:
    return RequestLatency(e2e_s, e2e_s, ttft_s, tpot_s, None, np.empty(0))


@given(st.lists(st.tuples(st.none() | latencies_s, st.none() | latencies_s, latencies_s)))
def test_every_latency_is_counted_between_its_edges(
    requests: list[tuple[float | None, float | None, float]],
) -> None:
    counter = LatencyCounter()
    for request in requests:
        counter.record(latency(*request))
    counts = counter.counts()
    bounds = [0.0, *LATENCY_EDGES_MS, inf]
    for place, counted in enumerate((counts.ttft, counts.tpot, counts.e2e)):
        values_ms = [each * 1e3 for row in requests if (each := row[place]) is not None]
        assert len(counted) == len(bounds) - 1
        assert counted == [
            sum(low <= value < high for value in values_ms) for low, high in pairwise(bounds)
        ]


def test_counts_that_were_told_do_not_change_later() -> None:
    counter = LatencyCounter()
    told = counter.counts()
    counter.record(latency(0.1, 0.01, 1.0))
    assert sum(told.ttft) == 0
    assert sum(counter.counts().ttft) == 1
