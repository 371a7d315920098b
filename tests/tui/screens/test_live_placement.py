"""Where the panels lie, for any size of terminal."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.screens.live_placement import (
    FIXED_ROWS,
    REQUESTS,
    TWO_COLUMNS_FROM,
    columns_for,
    panel_heights,
    place_panels,
)
from prodtop.tui.screens.tab import MIN_HEIGHT, MIN_WIDTH, fits
from textual.geometry import Region

widths = st.integers(MIN_WIDTH, 400)
rows = st.integers(MIN_HEIGHT - FIXED_ROWS, 140)


@given(width=widths, height=rows, gpu_lines=st.integers(4, 15))
def test_panels_fill_the_board_without_overlap(width: int, height: int, gpu_lines: int) -> None:
    regions = place_panels(width, height, gpu_lines=gpu_lines)
    assert sum(region.area for region in regions.values()) == width * height
    board = Region(0, 0, width, height)
    assert all(board.contains_region(region) for region in regions.values())
    for one, other in combinations(regions.values(), 2):
        assert not one.overlaps(other)


@given(width=widths, height=rows)
def test_no_panel_is_lower_than_it_can_bear(width: int, height: int) -> None:
    least = {name: panel.least for name, panel in panel_heights(7).items()}
    for name, region in place_panels(width, height).items():
        assert region.height >= least[name]


@given(width=widths, height=rows)
def test_throughput_and_latency_are_always_there(width: int, height: int) -> None:
    assert {"throughput", "latency"} <= set(place_panels(width, height))


def test_the_usual_sizes_show_every_panel() -> None:
    for width, height in ((120, 36), (160, 48), (220, 60)):
        assert set(place_panels(width, height - FIXED_ROWS)) == set(panel_heights(7))
    # A table of two rows is none: there a key shows it.
    assert set(place_panels(80, 18)) == set(panel_heights(7)) - {REQUESTS}


@given(width=st.integers(MIN_WIDTH, TWO_COLUMNS_FROM - 1), height=rows)
def test_figures_outrank_the_stream(width: int, height: int) -> None:
    shown = set(place_panels(width, height))
    assert "stream" not in shown or shown == set(panel_heights(7))


def test_sixty_by_twenty_shows_figures_alone() -> None:
    assert set(place_panels(60, 14)) == {"throughput", "latency", "queue"}


@given(width=widths, height=rows, gpu_lines=st.integers(4, 15))
def test_the_table_costs_no_panel_its_place(width: int, height: int, gpu_lines: int) -> None:
    regions = place_panels(width, height, gpu_lines=gpu_lines)
    if REQUESTS in regions and len(columns_for(width)) > 1:
        assert set(regions) == set(panel_heights(gpu_lines))
        assert regions[REQUESTS].width == width


@given(width=widths, height=st.integers(60, 140))
def test_large_screens_give_their_rows_to_requests_and_not_to_lines_that_stay_empty(
    width: int, height: int
) -> None:
    panels, regions = panel_heights(7), place_panels(width, height)
    for name in ("gpu", "cache"):
        assert regions[name].height <= panels[name].most


def test_a_maximised_panel_has_the_board_for_itself() -> None:
    assert place_panels(80, 18, maximized="queue") == {"queue": Region(0, 0, 80, 18)}


def test_wider_terminals_have_more_columns() -> None:
    assert [len(columns_for(width)) for width in (60, 80, 160, 240)] == [1, 2, 2, 3]


def test_what_is_too_small() -> None:
    assert fits(60, 18)
    assert not fits(59, 40)
    assert not fits(100, 17)
