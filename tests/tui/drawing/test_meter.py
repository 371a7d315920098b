"""Gauges, stacked bars and sparklines: exact widths, honest ends, readable without colour."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.drawing.meter import (
    Part,
    apportion,
    bars,
    gauge,
    kv_blocks,
    level,
    stacked,
    stacked_legend,
    to_scale,
)
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.style.inks import Ink

glyph_sets = st.sampled_from([UNICODE, ASCII])
widths = st.integers(min_value=0, max_value=60)
amounts = st.lists(st.floats(min_value=0, max_value=1e12), min_size=1, max_size=5)


@given(st.one_of(st.none(), st.floats(-1, 2), st.just(math.nan)), widths, glyph_sets)
def test_a_gauge_is_exactly_as_wide_as_asked(
    fraction: float | None, width: int, glyphs: Glyphs
) -> None:
    assert gauge(fraction, width, glyphs).width == width


@given(st.floats(1e-6, 1 - 1e-6), st.integers(min_value=2, max_value=40), glyph_sets)
def test_a_gauge_is_empty_and_full_only_when_it_is(
    fraction: float, width: int, glyphs: Glyphs
) -> None:
    bar = gauge(fraction, width, glyphs).plain
    assert bar != gauge(0.0, width, glyphs).plain
    assert bar != gauge(1.0, width, glyphs).plain


def test_a_gauge_half_full() -> None:
    assert gauge(0.5, 4, ASCII).plain == "##.."
    assert gauge(0.5, 3, UNICODE).plain == "━╸─"
    assert gauge(None, 4, ASCII).plain == "...."


@pytest.mark.parametrize(("fraction", "ink"), [(0.5, Ink.ACCENT), (0.8, Ink.WARN), (0.95, Ink.BAD)])
def test_a_gauge_takes_the_colour_of_its_limits(fraction: float, ink: Ink) -> None:
    line = gauge(fraction, 10, UNICODE, warn_at=0.8, bad_at=0.95)
    assert line.pieces[0].ink is ink


@given(amounts, st.integers(min_value=0, max_value=80))
def test_shares_are_whole_cells_that_add_up(parts: list[float], cells: int) -> None:
    counts = apportion(parts, cells)
    assert len(counts) == len(parts)
    assert min(counts) >= 0
    assert sum(counts) == (cells if sum(parts) > 0 else 0)


@given(amounts, st.integers(min_value=5, max_value=80))
def test_no_part_that_is_there_is_invisible(parts: list[float], cells: int) -> None:
    for amount, count in zip(parts, apportion(parts, cells), strict=True):
        assert (count > 0) == (amount > 0)


@given(amounts, st.integers(min_value=10, max_value=80))
def test_shares_are_in_proportion(parts: list[float], cells: int) -> None:
    whole = sum(parts)
    for amount, count in zip(parts, apportion(parts, cells), strict=True):
        if whole > 0:
            assert abs(count - amount / whole * cells) < len(parts)


@given(amounts, st.one_of(st.none(), st.floats(0, 1e13)), widths, glyph_sets)
def test_a_stacked_bar_is_exactly_as_wide_as_asked(
    parts: list[float], total: float | None, width: int, glyphs: Glyphs
) -> None:
    bar = stacked([Part(f"p{i}", amount) for i, amount in enumerate(parts)], total, width, glyphs)
    assert bar.width == width


def test_parts_differ_by_pattern_as_well_as_by_colour() -> None:
    parts = [Part("weights", 2), Part("KV", 4), Part("workspace", 2), Part("other", 2)]
    assert stacked(parts, 12, 12, ASCII).plain == "##====++%%.."
    assert stacked(parts, 12, 12, UNICODE).plain == "▓▓▒▒▒▒░░▞▞··"
    inks = [piece.ink for piece in stacked(parts, 12, 12, UNICODE).pieces]
    assert len(set(inks)) == 5


def test_the_legend_shows_the_pattern_of_each_part() -> None:
    parts = [Part("weights", 2), Part("KV", 4)]
    assert stacked_legend(parts, ["1 GiB", "2 GiB"], ASCII).plain == "# weights 1 GiB  = KV 2 GiB"


def test_kv_blocks_show_use_what_can_go_and_what_is_free() -> None:
    assert kv_blocks(5, 3, 10, 10, ASCII).plain == "#####+++.."
    assert kv_blocks(0, 0, 10, 10, ASCII).plain == ".........."
    assert kv_blocks(0, 0, 0, 10, ASCII).plain == ".........."


def test_a_level_is_a_row_of_marks() -> None:
    assert level(0.75, 4, UNICODE).plain == "▮▮▮▯"
    assert level(2.0, 4, ASCII).plain == "####"


@given(st.lists(st.floats(-5, 1e6), max_size=40), st.integers(1, 9), glyph_sets)
def test_bars_are_as_high_as_their_values(values: list[float], rows: int, glyphs: Glyphs) -> None:
    lines = [each.plain for each in bars(values, rows, glyphs, Ink.TEXT)]
    assert len(lines) == rows
    assert all(len(each) == len(values) for each in lines)
    full = len(glyphs.steps)
    for place, value in enumerate(values):
        column = [each[place] for each in reversed(lines)]
        height = sum(
            glyphs.steps.index(cell) + 1
            for row, cell in enumerate(column)
            if value > 0 and cell in glyphs.steps and (row or cell != glyphs.pattern_empty)
        )
        if value > 0 and glyphs.unicode:
            assert height == max(1, round(value / max(values) * rows * full))
        elif value <= 0:
            assert column == [glyphs.pattern_empty, *[" "] * (rows - 1)]


@given(amounts, widths, glyph_sets)
def test_parts_to_scale_end_where_they_lie(parts: list[float], width: int, glyphs: Glyphs) -> None:
    line = to_scale([Part("", amount) for amount in parts], width, glyphs)
    whole = sum(parts)
    assert line.width == (width if whole > 0 else 0)
    end = 0.0
    for index, amount in enumerate(parts):
        end += amount
        drawn = line.plain[: round(end / whole * width)] if whole > 0 else ""
        assert set(drawn) <= set(glyphs.patterns[: index + 1])
