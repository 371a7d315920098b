"""Hit rates per window: over what was looked up, and unknown where nothing was."""

import pytest
from prodtop.engine.metrics.hits import HitMeter
from prodtop.engine.protocol import HitRates, Window

START_S = 100.0


def test_rates_are_hits_over_lookups_of_each_window() -> None:
    meter = HitMeter(START_S)
    for index in range(4):
        meter.on_response_lookup(hit=index == 0, now_s=START_S + 1.0)
    meter.on_prefix_lookup(0, 100, START_S + 1.0)
    meter.on_response_lookup(hit=True, now_s=START_S + 30.2)
    meter.on_prefix_lookup(80, 100, START_S + 30.2)
    rates = meter.rates(START_S + 31.0)
    assert rates[Window.S10] == HitRates(response=1.0, prefix=0.8)
    assert rates[Window.M1].response == pytest.approx(2 / 5)
    assert rates[Window.SESSION].prefix == pytest.approx(80 / 200)
    assert meter.session(START_S + 31.0) == rates[Window.SESSION]


def test_a_cache_that_was_not_asked_has_no_rate() -> None:
    meter = HitMeter(START_S)
    assert set(meter.rates(START_S + 1.0).values()) == {HitRates()}
    meter.on_prefix_lookup(0, 12, START_S + 1.0)
    assert meter.session(START_S + 2.0) == HitRates(response=None, prefix=0.0)


def test_an_old_lookup_leaves_the_windows_but_not_the_session() -> None:
    meter = HitMeter(START_S)
    meter.on_response_lookup(hit=True, now_s=START_S + 1.0)
    rates = meter.rates(START_S + 400.0)
    assert [rates[window].response for window in Window] == [None, None, None, 1.0, 1.0]


def test_since_the_switch_only_what_came_after_it_counts() -> None:
    meter = HitMeter(START_S)
    meter.on_response_lookup(hit=True, now_s=START_S + 1.0)
    meter.on_prefix_lookup(8, 10, START_S + 1.0)
    assert meter.rates(START_S + 2.0)[Window.SWITCH] == HitRates(response=1.0, prefix=0.8)
    meter.on_switch()
    assert meter.rates(START_S + 2.0)[Window.SWITCH] == HitRates()
    meter.on_prefix_lookup(1, 10, START_S + 3.0)
    rates = meter.rates(START_S + 900.0)
    assert rates[Window.SWITCH] == HitRates(prefix=0.1)
    assert rates[Window.SESSION] == HitRates(response=1.0, prefix=0.45)


@pytest.mark.parametrize(("hit", "queried"), [(5, 4), (-1, 4)])
def test_more_hits_than_tokens_are_refused(hit: int, queried: int) -> None:
    with pytest.raises(ValueError, match="queried"):
        HitMeter(START_S).on_prefix_lookup(hit, queried, START_S)
