"""The value axis: round, big enough, and calm."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.drawing.scale import (
    MOST_DECADES,
    SHRINK_AFTER_S,
    Extent,
    LinearScale,
    LogScale,
    Scale,
    nice_ceiling,
    place_above,
    place_below,
    round_number,
)

values = st.floats(min_value=1e-9, max_value=1e15)
latencies = st.floats(min_value=0.01, max_value=9_000)
scales = st.sampled_from([LinearScale, LogScale])


def top(scale: Scale, peak: float | None, now_s: float) -> float:
    return scale.axis(None if peak is None else Extent(peak, peak), now_s).high


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


def test_round_numbers_in_their_order() -> None:
    assert [round_number(place) for place in range(-4, 5)] == [
        0.05,
        0.1,
        0.2,
        0.5,
        1,
        2,
        5,
        10,
        20,
    ]


@given(values)
def test_a_value_lies_between_the_round_numbers_around_it(value: float) -> None:
    below, above = place_below(value), place_above(value)
    assert above - below in (0, 1)
    assert round_number(below) * (1 - 1e-9) <= value <= round_number(above) * (1 + 1e-9)


@given(scales, st.lists(values, min_size=1, max_size=50))
def test_the_axis_always_holds_the_data(make: type[Scale], peaks: list[float]) -> None:
    scale = make()
    for tick, peak in enumerate(peaks):
        axis = scale.axis(Extent(peak, peak), tick * 0.25)
        assert axis.low < axis.high
        assert axis.high >= peak * (1 - 1e-9)


@given(st.lists(st.tuples(latencies, latencies), min_size=1, max_size=50))
def test_a_logarithmic_axis_holds_the_least_value_too(pairs: list[tuple[float, float]]) -> None:
    scale = LogScale()
    for tick, pair in enumerate(pairs):
        axis = scale.axis(Extent(min(pair), max(pair)), tick * 0.25)
        assert axis.low <= min(pair) <= max(pair) <= axis.high
        assert axis.high / axis.low >= 10 * (1 - 1e-9)


@pytest.mark.parametrize("make", [LinearScale, LogScale])
def test_a_value_that_wanders_around_a_round_number_moves_the_axis_once(make: type[Scale]) -> None:
    scale = make()
    tops = [top(scale, 95.0 + 4 * math.sin(tick), tick * 0.25) for tick in range(200)]
    assert len(set(tops[2:])) == 1


def test_the_lower_end_of_a_logarithmic_axis_is_as_calm_as_the_upper_one() -> None:
    scale = LogScale()
    ends = [
        scale.axis(Extent(10.0 + math.sin(tick), 900.0), tick * 0.25).low for tick in range(200)
    ]
    assert set(ends[2:]) == {5.0}


def test_the_axis_shrinks_only_after_a_while() -> None:
    scale = LinearScale()
    assert top(scale, 900.0, 0.0) == 1000.0
    assert top(scale, 50.0, 1.0) == 1000.0
    assert top(scale, 50.0, 1.0 + SHRINK_AFTER_S / 2) == 1000.0
    assert top(scale, 50.0, 1.0 + SHRINK_AFTER_S) == 80.0


def test_both_ends_of_a_logarithmic_axis_move_inwards_after_a_while() -> None:
    scale = LogScale()
    wide, narrow = Extent(3.0, 4000.0), Extent(30.0, 400.0)
    assert scale.axis(wide, 0.0).low == 2.0
    assert scale.axis(narrow, 1.0).high == 5000.0
    later = scale.axis(narrow, 1.0 + SHRINK_AFTER_S)
    assert (later.low, later.high) == (20.0, 500.0)


def test_a_short_dip_does_not_shrink_the_axis() -> None:
    scale = LinearScale()
    top(scale, 900.0, 0.0)
    top(scale, 50.0, 1.0)
    top(scale, 900.0, 2.0)
    assert top(scale, 50.0, 1.0 + SHRINK_AFTER_S) == 1000.0


def test_a_tiny_value_does_not_press_the_others_together() -> None:
    axis = LogScale().axis(Extent(1e-12, 1000.0), 0.0)
    assert axis.high / axis.low == pytest.approx(10.0**MOST_DECADES)


def test_without_data_the_axis_stays() -> None:
    scale = LinearScale()
    assert top(scale, None, 0.0) == 1.0
    top(scale, 70.0, 1.0)
    assert top(scale, None, 2.0) == 80.0
    scale.forget()
    assert top(scale, 0.5, 3.0) == pytest.approx(0.6)


def test_a_logarithmic_axis_without_anything_above_zero_stays_too() -> None:
    scale = LogScale()
    before = scale.axis(Extent(70.0, 70.0), 0.0)
    assert scale.axis(None, 1.0) == before
    assert scale.axis(Extent(0.0, 0.0), 2.0) == before


def test_a_fixed_end_stays_and_a_least_end_keeps_noise_small() -> None:
    assert top(LinearScale(top=1.0), 0.2, 0.0) == 1.0
    assert top(LinearScale(least_top=4.0), 0.2, 0.0) == 5.0
