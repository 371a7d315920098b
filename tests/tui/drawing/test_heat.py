"""A heatmap: every value lies somewhere, in the row of its step and the column of its time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import LATENCY_EDGES_MS
from prodtop.tui.drawing.axis import Axis
from prodtop.tui.drawing.chart_data import Heat
from prodtop.tui.drawing.heat import ColumnCounts
from prodtop.tui.drawing.timebase import TimeBase
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs

STEPS = len(LATENCY_EDGES_MS) + 1
cells = st.lists(
    st.tuples(st.floats(0.0, 60.0), st.dictionaries(st.integers(0, STEPS - 1), st.integers(1, 99))),
    max_size=20,
)
axes = st.tuples(st.integers(-1, 1), st.integers(2, 6)).map(
    lambda ends: Axis(10.0 ** ends[0], 10.0 ** ends[1], logarithmic=True)
)
BASE = TimeBase.ending(60.0, 60.0, 40)


@given(cells, axes, st.integers(1, 24))
def test_every_value_lies_in_one_column_and_its_rows(
    told: list[tuple[float, dict[int, int]]], axis: Axis, rows: int
) -> None:
    columns = ColumnCounts.of(Heat(LATENCY_EDGES_MS, told, 1), BASE)
    inside = [steps for at_s, steps in told if BASE.column_of(at_s) is not None]
    assert columns.counts.sum() == sum(sum(steps.values()) for steps in inside)
    _, density = columns.shades(axis, rows, UNICODE)
    # Spread over the rows a column keeps its sum: densities are the root of the share.
    spread = density**2
    seen = spread.sum(axis=0)
    numbers = columns.counts.sum(axis=0)
    if numbers.any():
        assert seen / seen.max() == pytest.approx(numbers / numbers.max())
        extent = columns.extent
        assert extent is not None
        assert extent.lowest <= extent.highest


@given(st.integers(1, STEPS - 2), st.integers(4, 24))
def test_a_step_is_drawn_at_its_height(step: int, rows: int) -> None:
    axis = Axis(0.1, 1e6, logarithmic=True)
    columns = ColumnCounts.of(Heat(LATENCY_EDGES_MS, [(30.0, {step: 3})], 1), BASE)
    characters, density = columns.shades(axis, rows, UNICODE)
    drawn = np.flatnonzero(density.any(axis=1))
    middle = math.sqrt(LATENCY_EDGES_MS[step - 1] * LATENCY_EDGES_MS[step])
    at = rows - 1 - int(axis.height(middle) * rows)
    assert at in drawn
    assert (characters != ord(" ")).sum() == (density > 0).sum()


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_the_densest_is_the_darkest_and_nothing_is_blank(glyphs: Glyphs) -> None:
    told = [(10.0, {20: 100}), (30.0, {20: 1}), (50.0, {})]
    columns = ColumnCounts.of(Heat(LATENCY_EDGES_MS, told, 1), BASE)
    characters, _ = columns.shades(Axis(1.0, 1e4, logarithmic=True), 8, glyphs)
    seen = {chr(each) for each in characters.ravel().tolist()}
    assert glyphs.shades[-1] in seen
    assert glyphs.shades[0] in seen
    assert seen <= {" ", *glyphs.shades}
