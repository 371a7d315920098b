"""A painted chart: what it shows at which size, and what stands where."""

import math
import re
from collections.abc import Sequence

import numpy as np
import pytest
from chart_samples import CLOCK_SETTINGS, NOW_S, TIMES, curve, wave
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.tui.drawing.axis import Axis
from prodtop.tui.drawing.canvas import HIGHLIGHT, INK_IDS, Canvas
from prodtop.tui.drawing.chart_data import (
    ChartContent,
    ChartSettings,
    Mark,
    Place,
    Series,
    Stroke,
    Threshold,
)
from prodtop.tui.drawing.chart_layout import ChartLayout, Sampled
from prodtop.tui.drawing.chart_painter import Painter, draw_curves
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.style.inks import Ink


def view(
    series: Sequence[Series] = (),
    *,
    end_s: float = NOW_S,
    marks: Sequence[Mark] = (),
    thresholds: Sequence[Threshold] = (),
    cursor_s: float | None = None,
) -> ChartContent:
    shown = tuple(series) or (wave(), wave("TPOT p95", stroke=Stroke.DASHED, size=0.2))
    return ChartContent(shown, NOW_S, 60.0, end_s, tuple(marks), tuple(thresholds), cursor_s)


LIMIT = [Threshold(150.0, "SLO")]
LINEAR = Axis(0.0, 200.0)


def painted(
    of: ChartContent, width: int, height: int, glyphs: Glyphs = UNICODE, axis: Axis = LINEAR
) -> Canvas:
    layout = ChartLayout.fit(width, height, named=len(of.series) > 1, marked=bool(of.marks))
    sampled = Sampled.of(of, layout.width, 2.0)
    canvas = Canvas.blank(width, height)
    raster = draw_curves(of, sampled, layout, axis, glyphs)
    Painter(of, sampled, raster, CLOCK_SETTINGS, layout, axis, glyphs).paint(canvas)
    return canvas


def is_drawn(text: str) -> bool:
    return bool(re.search("[\u2801-\u28ff]", text))


def test_a_large_chart_has_legend_axes_and_times() -> None:
    rows = painted(view(thresholds=[Threshold(150.0, "SLO")]), 80, 12).text().splitlines()
    assert "━ TTFT p95" in rows[0]
    assert "╍ TPOT p95" in rows[0]
    assert "SLO 150ms" in rows[0]
    assert rows[1].startswith("200ms┤")
    assert any(row.startswith("150ms┤") and "╌" in row for row in rows)
    assert rows[-2].startswith("    0┤")
    assert rows[-1].split() == ["-1m", "now"]


def test_a_lower_chart_puts_its_legend_beside_the_times() -> None:
    rows = painted(view(), 80, 6).text().splitlines()
    assert rows[-1].split()[0] == "-1m"
    assert "TTFT p95" in rows[-1]
    assert rows[-1].split()[-1] == "now"


def test_a_chart_too_low_for_times_still_names_its_curves_if_there_are_several() -> None:
    assert "TTFT p95" in painted(view(), 80, 3).text().splitlines()[-1]
    alone = painted(view([wave()]), 80, 3).text().splitlines()
    assert "TTFT p95" not in "".join(alone)
    assert alone[-1].startswith("    0┤")


def test_a_narrow_chart_has_no_value_axis_and_a_low_one_no_rows_around_it() -> None:
    narrow = painted(view(), 30, 6).text().splitlines()
    assert "┤" not in "".join(narrow)
    low = painted(view([wave()]), 20, 3).text().splitlines()
    assert "now" not in "".join(low)
    assert any(map(is_drawn, low))


@settings(deadline=None)
@given(
    st.integers(1, 120),
    st.integers(1, 40),
    st.sampled_from([UNICODE, ASCII]),
    st.one_of(st.none(), st.floats(NOW_S - 90, NOW_S + 10)),
    st.lists(
        st.builds(Mark, st.floats(NOW_S - 70, NOW_S), st.text("abc", max_size=12)), max_size=4
    ),
)
def test_any_size_can_be_painted(
    width: int, height: int, glyphs: Glyphs, cursor_s: float | None, marks: list[Mark]
) -> None:
    of = view(marks=marks, thresholds=[Threshold(50.0, "SLO")], cursor_s=cursor_s)
    canvas = painted(of, width, height, glyphs)
    assert (canvas.width, canvas.height) == (width, height)
    if glyphs is ASCII:
        assert canvas.text().isascii()


def test_marks_stand_at_their_moment_with_a_label() -> None:
    of = view(marks=[Mark(NOW_S - 30, "int8")])
    canvas = painted(of, 66, 12)
    top = canvas.row(1)
    assert "▾int8" in top
    assert top.index("▾") == pytest.approx(6 + 30, abs=1)
    assert "┊" in {canvas.row(y)[top.index("▾")] for y in range(2, 11)}


def test_a_label_at_the_right_edge_turns_to_the_left_and_labels_do_not_overlap() -> None:
    of = view(marks=[Mark(NOW_S - 1, "continuous"), Mark(NOW_S - 18, "batched")])
    top = painted(of, 66, 12).row(1)
    assert re.search(r" batched▾ +continuous▾", top)


def test_labels_of_marks_cover_no_curve() -> None:
    """The curve runs along the upper edge, where labels once were."""
    high = curve("x", np.full(600, 200.0))
    canvas = painted(view([high], marks=[Mark(NOW_S - 30, "int8")]), 66, 12)
    assert "int8" in canvas.row(1)
    assert all(map(is_drawn, canvas.row(2)[6:-1]))


@pytest.mark.parametrize("height", [4, 5, 6, 12])
def test_from_four_rows_on_marks_are_labelled(height: int) -> None:
    text = painted(view([wave()], marks=[Mark(NOW_S - 30, "int8")]), 60, height).text()
    assert "int8" in text
    assert is_drawn(text)


@pytest.mark.parametrize("height", [3, 12])
def test_a_mark_is_seen_through_an_area(height: int) -> None:
    """Its edge stays: what is drawn there is the curve."""
    full = curve("x", np.full(600, 190.0), stroke=Stroke.AREA)
    canvas = painted(view([full], marks=[Mark(NOW_S - 30, "int8")]), 66, height)
    lined = [canvas.row(y).index("┊") for y in range(height) if "┊" in canvas.row(y)]
    assert len(set(lined)) == 1
    column = lined[0]
    assert column == pytest.approx(6 + 30, abs=1)
    edge = next(y for y in range(height) if is_drawn(canvas.row(y)[column - 8]))
    assert is_drawn(canvas.row(edge)[column])


def test_in_a_low_plot_a_mark_is_its_line_alone() -> None:
    assert "int8" not in painted(view(marks=[Mark(NOW_S - 30, "int8")]), 60, 3).text()


def test_a_threshold_is_named_on_its_line_unless_a_curve_is_there() -> None:
    low = painted(view([curve("x", np.full(600, 20.0))], thresholds=LIMIT), 80, 12)
    assert any(row.startswith("150ms┤╌SLO╌") for row in low.text().splitlines())
    crossing = painted(view([curve("x", np.full(600, 150.0))], thresholds=LIMIT), 80, 12)
    assert not any("SLO" in row for row in crossing.text().splitlines()[1:])


def test_thresholds_in_one_row_are_named_together_with_their_values() -> None:
    near = [Threshold(150.0, "SLO TTFT"), Threshold(148.0, "SLO TPOT")]
    rows = painted(view([curve("x", np.full(600, 20.0))], thresholds=near), 80, 8).text()
    assert "150ms┤╌SLO TTFT 150ms, SLO TPOT 148ms╌" in rows


def test_a_threshold_above_the_scale_is_only_named() -> None:
    canvas = painted(view(thresholds=[Threshold(500.0, "SLO")]), 80, 12)
    assert "↑ SLO 500ms" in canvas.row(0)
    assert "╌" not in canvas.text()


def test_a_logarithmic_chart_keeps_far_apart_values_readable() -> None:
    fast, slow = (curve(name, np.full(600, at)) for name, at in (("a", 30.0), ("b", 5000.0)))
    of = view([fast, slow], thresholds=[Threshold(30.0, "TPOT"), Threshold(300.0, "TTFT")])
    rows = painted(of, 80, 14, axis=Axis(10.0, 10_000.0, logarithmic=True)).text().splitlines()
    labels = [row[:5].strip() for row in rows[1:-1] if row[5] == "┤"]
    assert labels == ["10s", "1s", "300ms", "100ms", "30ms", "10ms"]
    assert any(row == "300ms┤╌TTFT" + "╌" * 69 for row in rows)
    assert sum(is_drawn(row) for row in rows[1:-1]) == 2


def test_on_a_logarithmic_chart_zero_lies_on_the_floor_and_a_gap_stays_a_gap() -> None:
    values = np.where(TIMES < NOW_S - 30, 0.0, math.nan)
    canvas = painted(view([curve("x", values)]), 66, 12, axis=Axis(1.0, 100.0, True))
    bottom = canvas.row(10)[6:]
    assert is_drawn(bottom[:29])
    assert not is_drawn(bottom[31:])
    assert not any(is_drawn(canvas.row(y)) for y in range(1, 10))


def test_the_cursor_shows_its_moment_and_the_values_there() -> None:
    flat = curve("steps", np.where(TIMES < NOW_S - 20, 40.0, 160.0))
    before = painted(view([flat], cursor_s=NOW_S - 40), 80, 12)
    after = painted(view([flat], cursor_s=NOW_S - 10), 80, 12)
    assert "steps 40 ms" in before.row(0)
    assert "steps 160 ms" in after.row(0)
    assert "t=-40" in before.row(11)
    column = np.flatnonzero((before.inks >= HIGHLIGHT).any(axis=0))
    assert len(column) == 1
    assert (before.inks[1:11, column[0]] & HIGHLIGHT).all()


def test_a_low_chart_says_the_cursors_values_beside_its_time() -> None:
    bottom = painted(view(cursor_s=NOW_S - 40), 60, 6).row(5)
    assert "t=-40" in bottom
    assert re.search(r"━.*\d+ms", bottom)


def test_a_chart_scrolled_back_says_the_time_of_day() -> None:
    bottom = painted(view(end_s=NOW_S - 10), 80, 12).row(11)
    assert bottom.split() == ["t=-70", "t=-10"]


def test_a_cursor_at_the_edge_hides_the_label_it_would_run_into() -> None:
    bottom = painted(view(cursor_s=NOW_S - 0.5), 80, 12).row(11)
    assert "now" not in bottom
    assert "-1m" in bottom


def test_a_missing_last_value_is_not_zero() -> None:
    values = np.where(TIMES < NOW_S - 5, 100.0, math.nan)
    assert "gone --" in painted(view([curve("gone", values)]), 80, 12).row(0)


def test_without_data_the_chart_says_so() -> None:
    text = painted(view([Series("none", [], [])]), 40, 8).text()
    assert "waiting for data" in text
    assert not is_drawn(text)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_six_curves_over_places_are_told_apart_without_colour(glyphs: Glyphs) -> None:
    places = tuple(Place(float(at), str(at)) for at in range(5))
    curves = tuple(
        Series(f"c{row}", [float(at) for at in range(5)], [20.0 + 30 * row] * 5) for row in range(6)
    )
    of = ChartContent(curves, 4.3, 4.6, 4.3)
    layout = ChartLayout.fit(80, 26, named=True)
    sampled = Sampled.of(of, layout.width, 1.5, timed=False)
    canvas = Canvas.blank(80, 26)
    raster = draw_curves(of, sampled, layout, LINEAR, glyphs)
    chart = ChartSettings(places=places)
    Painter(of, sampled, raster, chart, layout, LINEAR, glyphs).paint(canvas)
    pens = dict(re.findall(r"(\S) (c\d)", canvas.row(0)))
    assert sorted(pens.values()) == [series.name for series in curves]
    for y in range(1, 25):
        drawn = set(canvas.row(y)[6:]) & set(pens)
        if is_drawn(canvas.row(y)) or drawn:
            assert len(drawn) == 1, canvas.row(y)


def test_the_ink_of_a_series_can_be_chosen() -> None:
    canvas = painted(view([curve("x", np.full(600, 100.0), ink=3)]), 60, 10)
    assert INK_IDS[Ink.SERIES_4] in canvas.inks
    assert INK_IDS[Ink.SERIES_1] not in canvas.inks
