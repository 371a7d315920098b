"""Where the planner's panels lie."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.screens.planner_panels import ROW_VIEWS
from prodtop.tui.screens.planner_placement import CURVES, pages, place_panels
from prodtop.tui.screens.tab import MIN_HEIGHT, MIN_WIDTH
from prodtop.tui.views.planner.header_footer import VIEW_TITLES
from textual.geometry import Region

FRAME_ROWS = 4
VIEWS = [name for name, _ in VIEW_TITLES]


@given(
    view=st.sampled_from(VIEWS),
    width=st.integers(MIN_WIDTH, 300),
    height=st.integers(MIN_HEIGHT - FRAME_ROWS, 100),
    page=st.integers(0, 1),
)
def test_panels_fill_the_board_without_overlap(
    view: str, width: int, height: int, page: int
) -> None:
    placed = place_panels(view, width, height, page=min(page, pages(view, width, height) - 1))
    board = Region(0, 0, width, height)
    assert sum(region.area for region in placed.values()) == board.area
    assert all(board.contains_region(region) for region in placed.values())
    for one, other in combinations(placed.values(), 2):
        assert not one.overlaps(other)
    assert all(region.height >= 5 for region in placed.values())


@pytest.mark.parametrize("size", [(80, 20), (120, 32), (160, 44), (230, 56)])
def test_every_panel_can_be_seen_at_the_usual_sizes(size: tuple[int, int]) -> None:
    seen: set[str] = set()
    for view in VIEWS:
        for page in range(pages(view, *size)):
            seen |= set(place_panels(view, *size, page=page))
    assert seen == {"form", *ROW_VIEWS, *CURVES}


def test_a_maximised_panel_has_the_board_for_itself() -> None:
    assert place_panels("overview", 80, 20, maximized="step") == {"step": Region(0, 0, 80, 20)}
