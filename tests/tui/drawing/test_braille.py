"""Rasters of braille and ASCII: dots in their places, continuous lines, colours on top."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from prodtop.tui.drawing.axis import Axis
from prodtop.tui.drawing.braille import Raster, Trace, dot_rows, rasterize
from prodtop.tui.drawing.chart_data import Stroke
from prodtop.tui.drawing.timebase import Floats, TimeBase

ROWS, COLUMNS = 4, 8
BASE = TimeBase(first_bucket=0, bucket_s=1.0, columns=COLUMNS)
DOT_OF_BIT = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (3, 0), (3, 1)]
"""(row from the top, column) of each bit, as the Unicode standard numbers the dots."""

levels_of = arrays(
    np.float64,
    COLUMNS * 2,
    elements=st.one_of(st.floats(0, 100), st.just(float("nan"))),
)


def dots(raster: Raster) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """The raster as single dots, from the code points alone."""
    lit = np.zeros((raster.characters.shape[0] * 4, raster.characters.shape[1] * 2), dtype=bool)
    for (row, column), code in np.ndenumerate(raster.characters):
        for bit, (down, right) in enumerate(DOT_OF_BIT):
            if code != ord(" ") and (int(code) - 0x2800) >> bit & 1:
                lit[row * 4 + down, column * 2 + right] = True
    return lit


def draw(*traces: Trace, unicode: bool = True) -> Raster:
    return rasterize(traces, BASE, ROWS, Axis(0.0, 100.0), unicode=unicode)


def text(raster: Raster) -> list[str]:
    return ["".join(map(chr, row)) for row in raster.characters]


@given(levels_of)
def test_an_area_fills_everything_up_to_its_level(levels: Floats) -> None:
    lit = dots(draw(Trace(levels, Stroke.AREA)))
    tops = dot_rows(levels, Axis(0.0, 100.0), ROWS * 4)
    for column, top in enumerate(tops):
        assert lit[:, column].sum() == top + 1
        assert lit[ROWS * 4 - 1 - top :, column].all()


@given(levels_of)
def test_a_line_passes_through_every_level_and_through_nothing_else(levels: Floats) -> None:
    lit = dots(draw(Trace(levels)))
    tops = dot_rows(levels, Axis(0.0, 100.0), ROWS * 4)
    for column, top in enumerate(tops):
        if top < 0:
            assert not lit[:, column].any()
            continue
        assert lit[ROWS * 4 - 1 - top, column]
        near = [t for t in tops[max(0, column - 1) : column + 2] if t >= 0]
        drawn = ROWS * 4 - 1 - np.flatnonzero(lit[:, column])
        assert drawn.min() >= min(near)
        assert drawn.max() <= max(near)


@given(levels_of)
def test_a_line_has_no_holes(levels: Floats) -> None:
    """Neighbouring columns of a line touch: side by side or corner to corner."""
    lit = dots(draw(Trace(levels)))
    for column in range(COLUMNS * 2 - 1):
        here, there = np.flatnonzero(lit[:, column]), np.flatnonzero(lit[:, column + 1])
        if len(here) and len(there):
            assert np.abs(here[:, None] - there[None, :]).min() <= 1


def test_missing_levels_are_blank_and_zero_is_not() -> None:
    levels = np.array([np.nan] * 8 + [0.0] * 8)
    for stroke in Stroke:
        lit = dots(draw(Trace(levels, stroke)))
        assert not lit[:, :8].any()
        assert lit[-1, 8:].any()


def test_levels_beyond_the_scale_stay_inside_the_raster() -> None:
    lit = dots(draw(Trace(np.array([-50.0, 500.0] * COLUMNS), Stroke.AREA)))
    assert lit[-1].all()
    assert lit[0, 1::2].all()


def test_broken_strokes_keep_their_place_when_the_chart_scrolls() -> None:
    levels = np.full(COLUMNS * 2, 50.0)
    later = TimeBase(first_bucket=6, bucket_s=1.0, columns=COLUMNS)
    for stroke in (Stroke.DASHED, Stroke.DOTTED):
        before = dots(rasterize([Trace(levels, stroke)], BASE, ROWS, Axis(0.0, 100.0)))
        after = dots(rasterize([Trace(levels, stroke)], later, ROWS, Axis(0.0, 100.0)))
        assert (before[:, 6:] == after[:, :-6]).all()
        assert 0 < before.any(axis=0).sum() < COLUMNS * 2


def test_the_later_trace_owns_the_cell_and_crossing_lines_share_its_dots() -> None:
    flat = Trace(np.full(COLUMNS * 2, 50.0))
    above = Trace(np.full(COLUMNS * 2, 60.0))
    both = draw(flat, above)
    assert (dots(both) == (dots(draw(flat)) | dots(draw(above)))).all()
    assert set(np.unique(both.owner)) == {-1, 1}


def test_a_line_stands_free_of_the_area_beneath() -> None:
    area = Trace(np.full(COLUMNS * 2, 100.0), Stroke.AREA)
    line = Trace(np.full(COLUMNS * 2, 50.0))
    raster = draw(area, line)
    mine = raster.owner == 1
    assert (raster.characters[mine] == draw(line).characters[mine]).all()
    assert (raster.owner[~mine] == 0).all()


def test_an_area_knows_its_edge_from_its_inside() -> None:
    raster = draw(Trace(np.full(COLUMNS * 2, 70.0), Stroke.AREA))
    assert not raster.inside[0].any()
    assert not raster.inside[1].any()
    assert raster.inside[2:].all()


def test_an_area_up_to_the_top_still_has_an_edge() -> None:
    raster = draw(Trace(np.full(COLUMNS * 2, 100.0), Stroke.AREA))
    assert not raster.inside[0].any()
    assert raster.inside[1:].all()


@given(levels_of, st.sampled_from(list(Stroke)))
def test_ascii_rasters_are_ascii_with_one_mark_a_column(levels: Floats, stroke: Stroke) -> None:
    raster = draw(Trace(levels, stroke), unicode=False)
    assert (raster.characters < 128).all()
    drawn = raster.characters != ord(" ")
    assert (drawn == (raster.owner == 0)).all()
    known = ~np.isnan(levels).reshape(-1, 2).all(axis=1)
    assert (drawn.any(axis=0) == known).all()
    if stroke is not Stroke.AREA:
        assert (drawn.sum(axis=0) <= 1).all()


def test_ascii_lines_differ_by_their_character() -> None:
    raster = draw(
        Trace(np.full(COLUMNS * 2, 90.0)), Trace(np.full(COLUMNS * 2, 10.0)), unicode=False
    )
    first, *_, last = text(raster)
    assert len(set(first)) == len(set(last)) == 1
    assert set(first) != set(last)


@pytest.mark.parametrize(("level", "mark"), [(55, "."), (64, ":"), (73, "|")])
def test_ascii_areas_show_thirds_of_a_row(level: float, mark: str) -> None:
    raster = draw(Trace(np.full(COLUMNS * 2, float(level)), Stroke.AREA), unicode=False)
    assert text(raster)[1] == mark * COLUMNS
