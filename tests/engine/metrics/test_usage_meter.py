"""What was used over a span, against sums over the same steps."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.metrics.collector import Metrics
from prodtop.engine.metrics.usage import UsageMeter, prefill_share
from prodtop.engine.protocol import Roofline, Usage


def usage(metrics: Metrics, span_s: float, now_s: float) -> Usage:
    used = metrics.limits.roofline(
        now_s, copy_bytes_per_s=1e9, matmul_flops_per_s=1e9, span_s=span_s
    )
    totals = metrics.throughput.over(span_s, now_s)
    return metrics.usage.over(span_s, now_s, totals=totals, used=used)


@given(
    st.lists(st.tuples(st.floats(0.0, 0.5), st.integers(0, 500), st.integers(0, 64)), max_size=20)
)
def test_a_step_is_shared_by_the_tokens_it_computed(
    steps: list[tuple[float, int, int]],
) -> None:
    """Each step takes all the time since the one before it: the device is never idle."""
    metrics, now_s = Metrics(0.0), 0.0
    for took_s, prefill, decode in steps:
        now_s += took_s
        metrics.on_step(now_s, prefill_tokens=prefill, decode_tokens=decode, device_s=took_s)
    found = usage(metrics, math.inf, now_s)
    shares = [took * p / (p + d) for took, p, d in steps if p + d]
    assert found.span_s == pytest.approx(now_s)
    assert found.device_s == pytest.approx(now_s, abs=1e-9)
    assert found.prefill_device_s == pytest.approx(sum(shares), rel=1e-6, abs=1e-9)
    assert found.prefill_tokens == sum(p for _, p, _ in steps)
    assert found.decode_tokens == sum(d for _, _, d in steps)
    exported = metrics.exported.counted().counters
    assert exported["prefill_device_seconds"] == pytest.approx(sum(shares), rel=1e-6, abs=1e-9)


def test_a_step_without_tokens_goes_to_no_prompt() -> None:
    assert prefill_share(0, 0) == 0.0
    assert prefill_share(3, 1) == 0.75


@given(st.lists(st.floats(0.0, 1e4), min_size=2, max_size=20))
def test_energy_is_what_the_counter_grew_by(grown_j: list[float]) -> None:
    meter, counter_j = UsageMeter(0.0), 1e6
    totals = Metrics(0.0).throughput.over(math.inf, len(grown_j))
    for second, joules in enumerate(grown_j):
        counter_j += joules
        meter.on_energy(counter_j, float(second))
    found = meter.over(math.inf, len(grown_j), totals=totals, used=Roofline())
    # The first reading is where it begins.
    assert found.energy_j == pytest.approx(sum(grown_j[1:]), rel=1e-9, abs=1e-6)


def test_a_counter_that_begins_anew_adds_nothing_and_goes_on() -> None:
    metrics = Metrics(0.0)
    for second, joules in enumerate([500.0, 700.0, 20.0, 50.0]):
        metrics.on_energy(joules, float(second))
    assert usage(metrics, math.inf, 4.0).energy_j == pytest.approx(200 + 30)
    assert metrics.exported.counted().counters["energy_joules"] == pytest.approx(230)


def test_without_a_counter_energy_is_not_known() -> None:
    metrics = Metrics(0.0)
    metrics.on_energy(None, 1.0)
    assert usage(metrics, math.inf, 2.0).energy_j is None


def test_a_window_holds_its_own_energy_and_cached_answers() -> None:
    metrics = Metrics(0.0)
    metrics.on_energy(0.0, 0.0)
    metrics.on_step(5.0, cached_tokens=70, device_s=0.5)
    metrics.on_energy(1000.0, 10.0)
    metrics.throughput.on_ended(20.0, cached_tokens=9)
    metrics.on_step(25.0, cached_tokens=40, device_s=0.5)
    metrics.on_energy(3000.0, 30.0)
    found = usage(metrics, 10.0, 30.0)
    assert found.energy_j == pytest.approx(1000, rel=0.02)
    assert (found.cached_prompt_tokens, found.cached_output_tokens) == (40, 9)
    session = usage(metrics, math.inf, 30.0)
    assert session.energy_j == pytest.approx(3000)
    assert (session.cached_prompt_tokens, session.cached_output_tokens) == (110, 9)
