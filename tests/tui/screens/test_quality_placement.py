"""The Quality tab's panels: whatever the size, they tile their area, and every one can be seen."""

import pytest
from hypothesis import given, settings
from prodtop.tui.screens.quality import VIEWS as PANELS
from prodtop.tui.screens.quality_placement import pages, place_panels
from tiling import AROUND, SIZES, assert_tiled

VIEWS = ("overview", "charts", "layers", "texts")


@pytest.mark.parametrize("view", VIEWS)
@given(size=SIZES)
@settings(deadline=None, max_examples=60)
def test_panels_tile_the_area(view: str, size: tuple[int, int]) -> None:
    width, height = size
    for page in range(pages(view, width, height)):
        regions = place_panels(view, width, height, page=page)
        assert set(regions) <= set(PANELS)
        assert_tiled(regions, width, height)


@given(size=SIZES)
@settings(deadline=None, max_examples=60)
def test_every_panel_can_be_seen_at_every_size(size: tuple[int, int]) -> None:
    seen = {
        name
        for view in VIEWS
        for page in range(pages(view, *size))
        for name in place_panels(view, *size, page=page)
    }
    assert seen == set(PANELS)


def test_at_the_smallest_usual_size_table_and_sentence_are_in_sight() -> None:
    regions = place_panels("overview", 80, 24 - AROUND)
    assert set(regions) == {"levels", "advice"}
    assert regions["levels"].height >= 10


def test_a_large_one_shows_everything_but_the_schemes_at_once() -> None:
    regions = place_panels("overview", 160, 48 - AROUND)
    assert set(regions) == set(PANELS) - {"schemes", "cell"}


def test_a_maximised_panel_has_all_the_room() -> None:
    assert place_panels("layers", 80, 20, maximized="heat")["heat"].area == 1600
