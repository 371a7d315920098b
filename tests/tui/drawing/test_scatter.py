"""A chart of points: whatever is drawn, it has its size, and points lie where their values say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.drawing.scatter import AXIS_CELLS, Axes, Point, scatter
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.style.inks import Ink

AXES = Axes(10.0, 0.0, 1.0, levels=((0.5, Ink.THRESHOLD),))
NUMBERS = st.floats(-5, 15)


@given(
    points=st.lists(
        st.builds(Point, NUMBERS, NUMBERS, st.sampled_from(["a", "a longer label"]), low=NUMBERS),
        max_size=8,
    ),
    width=st.integers(8, 120),
    height=st.integers(2, 30),
    glyphs=st.sampled_from([UNICODE, ASCII]),
)
def test_every_chart_has_its_size(
    points: list[Point], width: int, height: int, glyphs: Glyphs
) -> None:
    lines = scatter(points, AXES, width, height, glyphs)
    assert len(lines) == height
    assert {line.width for line in lines} == {width}


def rows(points: list[Point], width: int = 47, height: int = 12) -> list[str]:
    return [line.plain for line in scatter(points, AXES, width, height, UNICODE)]


@pytest.mark.parametrize(
    ("x", "y", "column", "row"), [(0, 1, 0, 0), (10, 1, 39, 0), (0, 0, 0, 10), (10, 0, 39, 10)]
)
def test_a_point_lies_where_its_values_say(x: float, y: float, column: int, row: int) -> None:
    assert rows([Point(x, y, "")])[row][AXIS_CELLS + column] == UNICODE.recording


def test_an_interval_reaches_from_end_to_end() -> None:
    shown = rows([Point(5, 0.5, "", low=0.2, high=0.8)])
    column = next(row.index(UNICODE.recording) for row in shown if UNICODE.recording in row)
    assert [y for y, row in enumerate(shown) if row[column] in "│●"] == list(range(2, 9))


def test_labels_of_points_side_by_side_do_not_touch() -> None:
    shown = "\n".join(rows([Point(4 + 0.5 * i, 0.5, f"label-{i}") for i in range(4)]))
    for index in range(4):
        assert f"label-{index}" in shown
    assert shown.count(UNICODE.recording) == 4


def test_a_level_is_drawn_and_named() -> None:
    (row,) = (row for row in rows([]) if UNICODE.threshold_line in row)
    assert row.startswith("  0.5 ┤")
