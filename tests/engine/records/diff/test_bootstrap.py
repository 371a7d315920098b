"""The interval of a difference: it holds the true one as often as it says, and knows its limits."""

import numpy as np
import pytest
from prodtop.engine.records.diff.bootstrap import (
    CONFIDENCE,
    LEAST_SAMPLES,
    Samples,
    enough,
    interval,
    mean_of,
    percentile_of,
    ratio_of,
    resampled,
)


def correlated(generator: np.random.Generator, count: int, mean: float) -> Samples:
    """Samples each of which is half of the one before (an AR(1) process)."""
    noise = generator.normal(size=count)
    values = np.empty(count)
    values[0] = noise[0]
    for place in range(1, count):
        values[place] = 0.5 * values[place - 1] + noise[place]
    return values + mean


@pytest.mark.parametrize("difference", [0.0, 1.0])
def test_the_interval_holds_the_true_difference_about_as_often_as_it_says(
    difference: float,
) -> None:
    generator = np.random.default_rng(7)
    rounds, held, held_without_blocks = 120, 0, 0
    for _ in range(rounds):
        before = correlated(generator, 300, 10.0)
        after = correlated(generator, 300, 10.0 + difference)
        low, high = interval(resampled(after, mean_of, 1) - resampled(before, mean_of, 0))
        held += low <= difference <= high
        error = np.hypot(before.std(), after.std()) / np.sqrt(300) * 1.96
        held_without_blocks += abs(after.mean() - before.mean() - difference) <= error
    # Blocks of neighbours are a little short of it, as the books say; single samples far more.
    assert held / rounds > CONFIDENCE - 0.08
    assert held > held_without_blocks


def test_draws_of_two_sides_are_independent_and_come_out_the_same_each_time() -> None:
    samples = np.arange(100.0)
    one, other = resampled(samples, mean_of, 0), resampled(samples, mean_of, 1)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.2
    assert (resampled(samples, mean_of, 0) == one).all()


def test_a_ratio_is_of_the_sums() -> None:
    pairs = np.array([[1.0, 10.0], [3.0, 10.0]])
    assert ratio_of(pairs[None])[0] == 0.2


def test_percentiles_lie_where_they_should() -> None:
    samples = np.arange(1000.0)
    low, high = interval(resampled(samples[::-1], percentile_of(95.0), 0))
    assert low < 950 < high


@pytest.mark.parametrize(
    ("count", "rank", "known"),
    [
        (LEAST_SAMPLES - 1, None, False),
        (LEAST_SAMPLES, None, True),
        (LEAST_SAMPLES, 50.0, True),
        (39, 95.0, False),
        (40, 95.0, True),
        (199, 99.0, False),
        (200, 99.0, True),
    ],
)
def test_how_many_samples_a_figure_needs(count: int, rank: float | None, *, known: bool) -> None:
    assert enough(count, rank) is known
