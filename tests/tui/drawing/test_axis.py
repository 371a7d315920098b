"""Where values lie on an axis, and which of them are labelled."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.tui.drawing.axis import TICK_GAP, Axis

LATENCY = Axis(10.0, 10_000.0, logarithmic=True)
AXES = st.sampled_from([Axis(0.0, 200.0), LATENCY, Axis(0.2, 2.0, logarithmic=True)])


def labelled(axis: Axis, rows: int) -> dict[int, float]:
    """The labelled values by row."""

    def row_of(value: float) -> int:
        return min(rows - 1, int((1 - axis.height(value)) * rows))

    ticks = axis.ticks(rows, row_of)
    assert len({row for _, row in ticks}) == len(ticks), "no label lies on another"
    return {row: value for value, row in ticks}


@pytest.mark.parametrize(
    ("value", "height"),
    [(10, 0), (100, 1 / 3), (1000, 2 / 3), (10_000, 1), (math.sqrt(1000), 1 / 6)],
)
def test_each_decade_is_as_high_as_the_next(value: float, height: float) -> None:
    assert LATENCY.height(value) == pytest.approx(height)


@pytest.mark.parametrize("value", [0.0, -5.0, 9.0])
def test_what_a_logarithm_cannot_show_lies_on_the_floor(value: float) -> None:
    assert LATENCY.height(value) == 0.0


@given(AXES, st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_a_larger_value_never_lies_lower(axis: Axis, values: list[float]) -> None:
    heights = axis.heights(np.array(sorted(values)))
    assert (np.diff(heights) >= 0).all()


@given(AXES)
def test_the_ends_lie_at_the_ends_and_what_is_missing_stays_missing(axis: Axis) -> None:
    assert (axis.height(axis.low), axis.height(axis.high)) == pytest.approx((0.0, 1.0))
    assert math.isnan(axis.height(math.nan))


def test_a_linear_axis_labels_its_ends_and_where_there_is_room_its_middle() -> None:
    assert labelled(Axis(0.0, 200.0), 10) == {0: 200.0, 5: 100.0, 9: 0.0}
    assert labelled(Axis(0.0, 200.0), 3) == {0: 200.0, 2: 0.0}
    assert labelled(Axis(0.0, 200.0), 1) == {0: 200.0}


def test_a_logarithmic_axis_labels_powers_of_ten_and_with_room_what_lies_between() -> None:
    assert sorted(labelled(LATENCY, 10).values()) == [10.0, 100.0, 1000.0, 10_000.0]
    short = Axis(20.0, 500.0, logarithmic=True)
    assert sorted(labelled(short, 10).values()) == [20.0, 50.0, 100.0, 200.0, 500.0]
    assert sorted(labelled(short, 5).values()) == [20.0, 100.0, 500.0]


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(-3, 3), st.integers(1, 6))
def test_labels_of_a_logarithmic_axis_keep_apart(rows: int, low: int, decades: int) -> None:
    axis = Axis(float(f"1e{low}"), float(f"1e{low + decades}"), logarithmic=True)
    at = sorted(labelled(axis, rows))
    assert len(at) >= min(rows, 2), "one value alone would not tell the scale"
    assert all(after - before >= min(TICK_GAP, rows - 1) for before, after in pairwise(at))


def test_of_powers_of_ten_and_ends_without_room_for_both_the_powers_are_labelled() -> None:
    wide = Axis(20.0, 50_000.0, logarithmic=True)
    assert sorted(labelled(wide, 9).values()) == [100.0, 1000.0, 10_000.0]
