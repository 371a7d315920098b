"""The histogram against numpy's percentiles of the same samples."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.metrics.histogram import (
    HIGHEST_S,
    LOWEST_S,
    RELATIVE_ERROR,
    LogHistogram,
)

FRACTIONS = (0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0)

durations = st.floats(min_value=math.log(LOWEST_S), max_value=math.log(HIGHEST_S)).map(
    lambda exponent: min(max(math.exp(exponent), LOWEST_S), HIGHEST_S)
)


def histogram_of(samples: list[float]) -> LogHistogram:
    histogram = LogHistogram()
    for sample in samples:
        histogram.add(sample)
    return histogram


@settings(deadline=None)
@given(st.lists(durations, min_size=1, max_size=200))
def test_quantiles_are_within_one_per_cent_of_numpys(samples: list[float]) -> None:
    found = histogram_of(samples).quantiles(FRACTIONS)
    exact = np.percentile(samples, [100 * f for f in FRACTIONS], method="inverted_cdf")
    assert RELATIVE_ERROR < 0.01
    np.testing.assert_allclose(found, exact, rtol=RELATIVE_ERROR + 1e-9)


def test_quantiles_hold_on_a_hundred_thousand_samples() -> None:
    samples = np.random.default_rng(1).lognormal(mean=-3.0, sigma=1.5, size=100_000)
    histogram = LogHistogram()
    histogram.add_many(samples)
    exact = np.percentile(samples, [50, 95, 99, 99.9], method="inverted_cdf")
    np.testing.assert_allclose(histogram.quantiles((0.5, 0.95, 0.99, 0.999)), exact, rtol=0.01)


@settings(deadline=None)
@given(st.lists(durations, max_size=50))
def test_adding_many_is_adding_each(samples: list[float]) -> None:
    one_by_one, at_once = histogram_of(samples), LogHistogram()
    at_once.add_many(np.array(samples))
    assert at_once.count == one_by_one.count == len(samples)
    assert at_once.total_s == pytest.approx(math.fsum(samples))
    assert one_by_one.total_s == pytest.approx(math.fsum(samples))
    # Rounding of the logarithm may put a sample on an edge into either of two buckets.
    np.testing.assert_allclose(
        at_once.quantiles(FRACTIONS), one_by_one.quantiles(FRACTIONS), rtol=2 * RELATIVE_ERROR
    )


@settings(deadline=None)
@given(st.lists(durations, max_size=50), st.lists(durations, max_size=50))
def test_merging_is_counting_both(first: list[float], second: list[float]) -> None:
    merged, both = histogram_of(first), histogram_of(first + second)
    merged.merge(histogram_of(second))
    assert merged.count == both.count
    assert merged.total_s == pytest.approx(both.total_s)
    assert merged.quantiles(FRACTIONS) == both.quantiles(FRACTIONS)


@settings(deadline=None)
@given(st.lists(durations, max_size=50), st.lists(durations, max_size=50))
def test_a_part_that_is_added_and_taken_away_leaves_no_trace(
    kept: list[float], passing: list[float]
) -> None:
    histogram, part = histogram_of(kept), histogram_of(passing).sparse()
    histogram.add_sparse(part)
    assert histogram.count == len(kept) + len(passing)
    histogram.subtract_sparse(part)
    histogram.restate([histogram_of(kept).sparse()])
    assert histogram.count == len(kept)
    assert histogram.quantiles(FRACTIONS) == histogram_of(kept).quantiles(FRACTIONS)


anything = st.floats(min_value=0.0, max_value=1e6)


@settings(deadline=None)
@given(st.lists(anything, min_size=1, max_size=60))
def test_all_figures_of_one_histogram_agree(samples: list[float]) -> None:
    histogram = histogram_of(samples)
    mean_s, quantiles = histogram.mean_s, histogram.quantiles(FRACTIONS)
    assert mean_s is not None
    assert (histogram.least_s, histogram.most_s) == (min(samples), max(samples))
    assert quantiles == sorted(quantiles)
    assert (quantiles[0], quantiles[-1]) == (min(samples), max(samples))
    assert min(samples) <= mean_s <= max(samples)
    assert mean_s == pytest.approx(float(np.mean(samples)), rel=1e-9, abs=1e-300)


@settings(deadline=None)
@given(anything, st.integers(1, 20))
def test_equal_samples_read_as_that_sample_in_every_figure(sample: float, times: int) -> None:
    histogram = histogram_of([sample] * times)
    assert [histogram.mean_s, *histogram.quantiles(FRACTIONS)] == [sample] * (len(FRACTIONS) + 1)


def test_a_copy_is_independent() -> None:
    original = histogram_of([0.1])
    twin = original.copy()
    twin.add(5.0)
    assert (original.count, twin.count) == (1, 2)
    assert original.quantiles([1.0])[0] == pytest.approx(0.1, rel=0.01)


def test_an_empty_histogram_has_no_figures() -> None:
    empty = LogHistogram()
    assert empty.quantiles((0.5,)) == []
    assert empty.quantiles([0.5]) == []
    assert empty.mean_s is None


def test_what_is_out_of_range_is_counted_at_the_edge() -> None:
    histogram = histogram_of([0.0, 1e-9, 2e-9, 1.0])
    assert histogram.quantiles([0.0, 0.5, 0.75]) == [0.0, LOWEST_S, LOWEST_S]
    histogram = histogram_of([1.0, 1e5, 1e6, 1e9])
    found = histogram.quantiles([0.5, 1.0])
    assert found == [pytest.approx(HIGHEST_S, rel=2 * RELATIVE_ERROR), 1e9]
    assert histogram.total_s == 1.0 + 1e5 + 1e6 + 1e9


@pytest.mark.parametrize("impossible", [-1e-9, math.nan, math.inf])
def test_an_impossible_duration_is_refused(impossible: float) -> None:
    histogram = LogHistogram()
    with pytest.raises(ValueError, match="finite"):
        histogram.add(impossible)
    with pytest.raises(ValueError, match="finite"):
        histogram.add_many(np.array([1.0, impossible]))
    assert histogram.count == 0


@pytest.mark.parametrize("impossible", [-0.1, 1.1, math.nan])
def test_an_impossible_fraction_is_refused(impossible: float) -> None:
    with pytest.raises(ValueError, match="0 … 1"):
        histogram_of([1.0]).quantiles([impossible])
