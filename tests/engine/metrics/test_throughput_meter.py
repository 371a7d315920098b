"""Tokens, rows and requests, counted apart."""

import pytest
from prodtop.engine.metrics.throughput import ThroughputMeter

START_S = 10.0


def metered(seconds: int) -> ThroughputMeter:
    """Ten steps a second: 30 prompt tokens, 8 generated, 4 cached, 10 rows of which 2 ghosts."""
    meter = ThroughputMeter(START_S)
    for tick in range(seconds * 10):
        now_s = START_S + 0.05 + tick / 10
        meter.on_step(
            now_s, prefill_tokens=30, decode_tokens=8, cached_tokens=4, rows=10, ghost_rows=2
        )
        if tick % 2:
            meter.on_arrival(now_s)
        if tick % 5 == 0:
            meter.on_ended(now_s, cached_tokens=5)
    return meter


def test_rates_are_per_second_and_kept_apart() -> None:
    rates = metered(5).rates(START_S + 5.0)
    assert rates.prefill_tok_s == pytest.approx(300, rel=0.01)
    assert rates.decode_tok_s == pytest.approx(80, rel=0.01)
    assert rates.cached_tok_s == pytest.approx(40 + 10, rel=0.01)
    assert rates.steps_per_s == pytest.approx(10, rel=0.01)
    assert rates.arrivals_per_s == pytest.approx(5, rel=0.01)
    assert rates.requests_per_s == pytest.approx(2, rel=0.01)
    assert rates.mean_batch_rows == pytest.approx(10)
    assert rates.batch_waste == pytest.approx(0.2)


def test_where_nothing_was_computed_waste_is_unknown_and_rates_are_zero() -> None:
    rates = metered(2).rates(START_S + 60.0)
    assert rates.decode_tok_s == 0.0
    assert rates.batch_waste is None
    assert rates.mean_batch_rows is None


def test_totals_are_exact_and_a_span_has_only_its_own() -> None:
    meter = metered(3)
    early = meter.totals(START_S + 3.0)
    assert (early.prefill_tokens, early.decode_tokens, early.steps) == (900, 240, 30)
    assert (early.cached_tokens, early.arrivals, early.ended) == (30 * 4 + 6 * 5, 15, 6)
    meter.on_step(
        START_S + 3.5, prefill_tokens=0, decode_tokens=6, cached_tokens=0, rows=6, ghost_rows=3
    )
    late = meter.over(1.0, START_S + 4.0)
    assert late.duration_s == pytest.approx(1.0, abs=0.11)
    assert late.decode_tokens == 6
    assert late.batch_waste == 0.5
    assert late.mean_batch_rows == 6.0


def test_an_empty_span_has_no_figures() -> None:
    meter = metered(1)
    nothing = meter.over(0.0, START_S + 1.0)
    assert nothing.duration_s == nothing.decode_tokens == 0
    assert nothing.batch_waste is None
    assert nothing.mean_batch_rows is None
