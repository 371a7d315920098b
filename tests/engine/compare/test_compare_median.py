"""The median's interval against sums of binomials, numpy and simulated repeats."""

import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.compare.median import (
    CONFIDENCE,
    Median,
    Verdict,
    compare,
    least_repeats,
    median,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.lists(FINITE, min_size=1, max_size=60)


def summary(values: list[float]) -> Median:
    found = median(values)
    assert found is not None
    return found


def coverage(count: int, rank: int) -> Fraction:
    """P(rank ≤ number of values below the median ≤ count − rank), by counting all outcomes."""
    inside = sum(math.comb(count, below) for below in range(rank, count - rank + 1))
    return Fraction(inside, 2**count)


@given(VALUES)
def test_the_median_is_that_of_the_statistics_module_and_lies_in_its_interval(
    values: list[float],
) -> None:
    found = summary(values)
    ordered = sorted(values)
    below, above = ordered[(len(values) - 1) // 2], ordered[len(values) // 2]
    assert below <= found.value <= above
    if abs(below) < 1e300 and abs(above) < 1e300:
        assert found.value == pytest.approx(statistics.median(values), rel=1e-12, abs=1e-300)
    assert min(values) <= found.low <= found.value <= found.high <= max(values)
    assert found.count == len(values)


@pytest.mark.parametrize("count", range(1, 120))
def test_the_interval_is_the_narrowest_of_the_order_statistics_that_reaches_its_confidence(
    count: int,
) -> None:
    found = summary([float(value) for value in range(1, count + 1)])
    rank = int(found.low)
    assert found.high == count + 1 - rank
    assert found.confidence == pytest.approx(float(coverage(count, rank)), rel=1e-9)
    reaching = [
        each for each in range(1, (count + 1) // 2 + 1) if coverage(count, each) >= CONFIDENCE
    ]
    assert rank == (max(reaching) if reaching else 1)
    assert found.decisive == bool(reaching)


def test_six_repeats_are_the_fewest_that_decide() -> None:
    assert least_repeats() == 6
    assert float(coverage(6, 1)) >= CONFIDENCE > float(coverage(5, 1))


@given(VALUES, st.randoms())
def test_order_does_not_matter(values: list[float], random: object) -> None:
    assert median(sorted(values)) == median(values) == median(values[::-1])


@pytest.mark.parametrize("count", [6, 9, 15])
def test_the_true_median_is_in_the_interval_as_often_as_it_says(count: int) -> None:
    """Of a skewed distribution: no mean, no symmetry."""
    random = np.random.default_rng(7)
    draws = random.lognormal(0.0, 2.0, size=(4000, count))
    found = [summary(list(map(float, row))) for row in draws]
    share = np.mean([each.low <= 1.0 <= each.high for each in found])
    sigma = math.sqrt(found[0].confidence * (1 - found[0].confidence) / len(found))
    assert abs(share - found[0].confidence) < 4 * sigma


@given(VALUES, VALUES)
def test_a_difference_is_seen_from_both_sides_and_never_inside_the_intervals(
    one: list[float], other: list[float]
) -> None:
    first, second = summary(one), summary(other)
    verdict, back = compare(first, second), compare(second, first)
    mirrored = {Verdict.LOWER: Verdict.HIGHER, Verdict.HIGHER: Verdict.LOWER}
    assert back is mirrored.get(verdict, verdict)
    touching = first.low <= second.high and second.low <= first.high
    if not (first.decisive and second.decisive):
        assert verdict is Verdict.UNDECIDED
    elif touching:
        assert verdict is Verdict.NO_DIFFERENCE
    else:
        assert (verdict is Verdict.LOWER) == (first.value < second.value)


def test_what_is_not_finite_counts_as_not_measured() -> None:
    assert median([]) is None
    assert median([math.nan, math.inf]) is None
    assert median([math.nan, 1.0, -math.inf, 3.0]) == median([1.0, 3.0])


def test_the_spread_is_relative_and_missing_for_zero() -> None:
    assert summary([90.0, 100.0, 130.0]).spread == pytest.approx(0.3)
    assert summary([0.0, 0.0]).spread is None
