"""Whether a level grows, and by how much a second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.metrics.trend import Trend


@given(slope=st.floats(-500, 500), start=st.floats(0, 1e4), noise=st.floats(-2, 2))
def test_a_straight_line_has_its_slope(slope: float, start: float, noise: float) -> None:
    trend = Trend()
    for tenth in range(200):
        level = start + slope * tenth / 10 + (noise if tenth % 2 else -noise)
        trend.add(level, 1000.0 + tenth / 10)
    found = trend.per_s()
    assert found is not None
    assert found == pytest.approx(slope, abs=0.1 + 1e-6 * start)


def test_only_the_last_seconds_count() -> None:
    trend = Trend()
    for second in range(60):
        trend.add(100.0 * min(second, 40), float(second))
    assert trend.per_s() == pytest.approx(0.0)


def test_the_mean_is_that_of_the_last_seconds() -> None:
    trend = Trend()
    assert trend.mean is None
    for second in range(30):
        trend.add(float(second), float(second))
    assert trend.mean == pytest.approx(24.0)


def test_a_burst_is_no_trend() -> None:
    trend = Trend()
    assert trend.per_s() is None
    for tenth in range(15):
        trend.add(tenth * 10.0, tenth / 10)
    assert trend.per_s() is None
