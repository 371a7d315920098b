"""The six latencies of a request, and their way into percentiles."""

from dataclasses import replace

import numpy as np
import pytest
from prodtop.engine.metrics.latency import (
    LatencyWindows,
    distribution,
    request_latency,
)
from prodtop.engine.protocol import Latency, Window
from prodtop.engine.serving.request import Request, Sampling

ARRIVAL_S = 50.0


def finished(output_tokens: int = 4, first_byte_at_s: float | None = None) -> Request:
    """Queued 10 ms after its arrival, scheduled 90 ms later, then a token every 100 ms."""
    times_s = [ARRIVAL_S + 0.2 + 0.1 * index for index in range(output_tokens)]
    return Request(
        request_id=1,
        prompt_tokens=[1, 2, 3],
        max_tokens=output_tokens,
        sampling=Sampling(),
        arrival_at_s=ARRIVAL_S,
        tokens=[1, 2, 3, *range(output_tokens)],
        queued_at_s=ARRIVAL_S + 0.01,
        scheduled_at_s=ARRIVAL_S + 0.10,
        first_token_at_s=times_s[0] if times_s else None,
        first_byte_at_s=first_byte_at_s,
        last_token_at_s=times_s[-1] if times_s else None,
        token_times_s=times_s,
    )


def test_every_latency_starts_where_the_definitions_say() -> None:
    latency = request_latency(finished(first_byte_at_s=ARRIVAL_S + 0.25), ARRIVAL_S + 9.0)
    assert latency.ttft_s == pytest.approx(0.2)
    assert latency.ttfb_s == pytest.approx(0.25)
    assert latency.e2e_s == pytest.approx(0.5)
    assert latency.tpot_s == pytest.approx(0.3 / 3)
    assert latency.queue_s == pytest.approx(0.09)
    np.testing.assert_allclose(latency.itl_s, [0.1, 0.1, 0.1])


def test_delivery_at_the_end_brings_the_first_byte_with_the_last() -> None:
    latency = request_latency(finished(), ARRIVAL_S + 9.0)
    assert latency.ttfb_s == latency.e2e_s


def test_text_flushed_after_the_last_token_came_with_it() -> None:
    latency = request_latency(finished(first_byte_at_s=ARRIVAL_S + 0.501), ARRIVAL_S + 9.0)
    assert latency.ttfb_s == latency.e2e_s


def test_one_token_has_no_time_per_token() -> None:
    latency = request_latency(finished(output_tokens=1), ARRIVAL_S + 9.0)
    assert latency.ttft_s == latency.e2e_s
    assert latency.tpot_s is None
    assert latency.itl_s.size == 0


def test_a_response_cache_hit_has_only_a_first_byte_and_an_end() -> None:
    hit = finished(output_tokens=0)
    hit.tokens += [7, 8, 9]
    hit.scheduled_at_s = None
    latency = request_latency(hit, ARRIVAL_S + 0.002, from_response_cache=True)
    assert latency.e2e_s == pytest.approx(0.002)
    assert latency.ttfb_s == pytest.approx(0.002)
    assert (latency.ttft_s, latency.tpot_s, latency.queue_s) == (None, None, None)
    assert latency.itl_s.size == 0


def test_a_request_that_made_no_token_ends_when_it_ended() -> None:
    latency = request_latency(finished(output_tokens=0), ARRIVAL_S + 0.7)
    assert latency.e2e_s == pytest.approx(0.7)
    assert (latency.ttft_s, latency.tpot_s) == (None, None)


def test_percentiles_are_in_milliseconds_and_itl_is_pooled() -> None:
    windows = LatencyWindows()
    for output_tokens in (4, 2, 1):
        windows.record(request_latency(finished(output_tokens), ARRIVAL_S + 9.0), 60.0)
    found = windows.over(Window.S10, 60.0)
    assert found.ttft is not None
    assert found.tpot is not None
    assert found.itl is not None
    assert found.e2e is not None
    assert (found.ttft.count, found.tpot.count, found.itl.count) == (3, 2, 4)
    assert found.e2e.mean_ms == pytest.approx((500 + 300 + 200) / 3)
    assert found.e2e.p50_ms == pytest.approx(300, rel=0.01)
    assert found.e2e.p99_ms == pytest.approx(500, rel=0.01)
    assert found.itl.p50_ms == pytest.approx(100, rel=0.01)


def test_each_window_forgets_in_its_own_time() -> None:
    windows = LatencyWindows()
    windows.record(request_latency(finished(), ARRIVAL_S + 9.0), 60.0)
    after = windows.all_windows(75.0)
    assert after[Window.S10] == Latency()
    assert after[Window.M1].e2e is not None
    assert after[Window.SESSION] == after[Window.M5] == after[Window.M1]


def test_since_the_switch_only_requests_that_also_arrived_since_count() -> None:
    windows = LatencyWindows()
    latency = request_latency(finished(), ARRIVAL_S + 9.0)
    windows.record(latency, 60.0, 50.0)
    assert windows.over(Window.SWITCH, 61.0) == windows.over(Window.SESSION, 61.0)
    windows.on_switch(70.0)
    assert windows.over(Window.SWITCH, 71.0) == Latency()
    windows.record(latency, 80.0, 69.0)
    assert windows.over(Window.SWITCH, 81.0) == Latency()
    windows.record(latency, 82.0, 70.0)
    since = windows.over(Window.SWITCH, 9_000.0)
    assert since.e2e is not None
    assert since.itl is not None
    assert (since.e2e.count, since.itl.count) == (1, len(latency.itl_s))


def test_a_distribution_is_its_percentiles_and_missing_stays_missing() -> None:
    windows = LatencyWindows()
    assert distribution(windows.over(Window.SESSION, 60.0).e2e) is None
    windows.record(replace(request_latency(finished(), 59.0), e2e_s=0.8), 60.0)
    found = distribution(windows.over(Window.SESSION, 60.0).e2e)
    assert found is not None
    assert found.mean == pytest.approx(800.0)
    assert found.p50 == found.p95 == found.p99 == pytest.approx(800.0, rel=0.01)
