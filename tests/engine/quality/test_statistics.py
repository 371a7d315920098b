"""Intervals and quantiles against numpy, and against what they promise."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.quality.statistics import (
    Z_95,
    exponential_interval,
    mean_interval,
    quantile,
    share_interval,
)

samples = st.lists(st.floats(-20, 20), min_size=1, max_size=60)


@given(samples, st.floats(0, 1))
def test_a_quantile_is_numpys(values: list[float], share: float) -> None:
    found = quantile(torch.tensor(values, dtype=torch.float64), share)
    assert found == pytest.approx(float(np.quantile(values, share)), abs=1e-9)


@given(samples)
def test_a_mean_lies_within_its_interval(values: list[float]) -> None:
    interval = mean_interval(torch.tensor(values, dtype=torch.float64))
    assert interval.low <= interval.value <= interval.high
    assert interval.value == pytest.approx(float(np.mean(values)), abs=1e-9)
    if len(values) > 1:
        half = Z_95 * float(np.std(values, ddof=1)) / math.sqrt(len(values))
        assert interval.high - interval.value == pytest.approx(half, abs=1e-9)


def test_a_perplexity_is_e_to_the_mean_loss() -> None:
    interval = exponential_interval(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    assert interval.value == pytest.approx(math.exp(2))
    assert interval.low < interval.value < interval.high


@given(st.integers(1, 5000), st.data())
def test_the_interval_of_a_share_stays_within_0_and_1(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, total))
    interval = share_interval(count, total)
    assert 0 <= interval.low <= count / total <= interval.high <= 1 + 1e-12


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    hits = 0
    for _ in range(2000):
        count = int(generator.binomial(400, 0.97))
        interval = share_interval(count, 400)
        hits += interval.low <= 0.97 <= interval.high
    assert 0.93 <= hits / 2000 <= 0.97
