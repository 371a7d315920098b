"""Percentiles with censored latencies, against plain ones and against what is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.metrics.survival import censored_percentile, percentile_ms

durations = st.lists(st.floats(0.0, 100.0), min_size=3, max_size=80)
fractions = st.sampled_from([0.5, 0.9, 0.95, 0.99])


@settings(deadline=None)
@given(durations, fractions)
def test_with_nobody_waiting_it_is_the_plain_percentile(
    samples: list[float], fraction: float
) -> None:
    array = np.array(samples)
    found = censored_percentile(array, np.ones(array.size, dtype=bool), fraction)
    exact = float(np.percentile(array, 100 * fraction, method="inverted_cdf")) * 1e3
    assert found is not None
    assert found.value_ms == pytest.approx(exact)
    assert not found.at_least
    assert percentile_ms(array, fraction) == pytest.approx(exact)


@settings(deadline=None)
@given(durations, fractions, st.data())
def test_who_still_waits_never_makes_it_lower(
    samples: list[float], fraction: float, data: st.DataObject
) -> None:
    array = np.array(samples)
    over = np.array(data.draw(st.lists(st.booleans(), min_size=array.size, max_size=array.size)))
    found = censored_percentile(array, over, fraction)
    served = censored_percentile(array[over], over[over], fraction)
    assert found is not None
    if served is not None and not found.at_least:
        assert found.value_ms >= served.value_ms
    if found.at_least:
        assert found.value_ms == pytest.approx(max(samples) * 1e3)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32), st.floats(0.5, 3.0))
def test_the_median_is_found_where_a_third_were_not_seen_to_the_end(
    seed: int, mean_s: float
) -> None:
    random = np.random.default_rng(seed)
    true_s = random.exponential(mean_s, 4000)
    until_s = random.exponential(2 * mean_s, 4000)
    found = censored_percentile(np.minimum(true_s, until_s), true_s <= until_s, 0.5)
    assert found is not None
    assert not found.at_least
    assert found.value_ms == pytest.approx(np.median(true_s) * 1e3, rel=0.1)


def test_too_few_are_no_percentile() -> None:
    assert censored_percentile(np.array([1.0, 2.0]), np.array([True, True]), 0.95) is None
    assert percentile_ms(np.array([1.0, 2.0]), 0.95) is None


def test_of_a_growing_queue_it_is_known_from_below() -> None:
    found = censored_percentile(np.ones(9), np.ones(9, dtype=bool), 0.95, growing=True)
    assert found is not None
    assert (found.value_ms, found.at_least) == (1000.0, True)
