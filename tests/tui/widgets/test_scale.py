"""The value axis: round, big enough, and calm."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.widgets.scale import SHRINK_AFTER_S, StableScale, nice_ceiling

values = st.floats(min_value=1e-9, max_value=1e15)


@pytest.mark.parametrize(
    ("value", "top"),
    [(0, 1), (1, 1), (1.01, 2), (22_900, 30_000), (61, 80), (99, 100), (0.07, 0.08)],
)
def test_round_tops(value: float, top: float) -> None:
    assert nice_ceiling(value) == pytest.approx(top)


@given(values)
def test_the_top_is_above_the_value_but_not_by_more_than_double(value: float) -> None:
    top = nice_ceiling(value)
    assert value * (1 - 1e-9) <= top <= value * 2 * (1 + 1e-9)


@given(st.lists(values, min_size=1, max_size=50))
def test_the_axis_always_holds_the_data(peaks: list[float]) -> None:
    scale = StableScale()
    for tick, peak in enumerate(peaks):
        assert scale.update(peak, tick * 0.25) >= peak * (1 - 1e-9)


def test_a_value_that_wanders_around_a_round_number_moves_the_axis_once() -> None:
    scale = StableScale()
    tops = [scale.update(95.0 + 4 * math.sin(tick), tick * 0.25) for tick in range(200)]
    assert len(set(tops[2:])) == 1


def test_the_axis_shrinks_only_after_a_while() -> None:
    scale = StableScale()
    assert scale.update(900.0, 0.0) == 1000.0
    assert scale.update(50.0, 1.0) == 1000.0
    assert scale.update(50.0, 1.0 + SHRINK_AFTER_S / 2) == 1000.0
    assert scale.update(50.0, 1.0 + SHRINK_AFTER_S) == 80.0


def test_a_short_dip_does_not_shrink_the_axis() -> None:
    scale = StableScale()
    scale.update(900.0, 0.0)
    scale.update(50.0, 1.0)
    scale.update(900.0, 2.0)
    assert scale.update(50.0, 1.0 + SHRINK_AFTER_S) == 1000.0


def test_without_data_the_axis_stays() -> None:
    scale = StableScale()
    assert scale.update(None, 0.0) == 1.0
    scale.update(70.0, 1.0)
    assert scale.update(None, 2.0) == 80.0
    scale.forget()
    assert scale.update(0.5, 3.0) == pytest.approx(0.6)
