"""The Production tab's panels: whatever the size, they tile their area, and each can be seen."""

import pytest
from hypothesis import given, settings
from prodtop.tui.screens.production import VIEWS as PANELS
from prodtop.tui.screens.production_placement import VIEW_SLOTS, pages, place_panels
from prodtop.tui.settings.keymap import DEFAULT_KEYMAP
from prodtop.tui.views.production.around import VIEW_TITLES
from tiling import AROUND, SIZES, assert_tiled


@pytest.mark.parametrize("view", VIEW_SLOTS)
@given(size=SIZES)
@settings(deadline=None, max_examples=60)
def test_panels_tile_the_area_on_every_page(view: str, size: tuple[int, int]) -> None:
    width, height = size
    for page in range(pages(view, width, height)):
        regions = place_panels(view, width, height, page=page)
        assert_tiled(regions, width, height)


@given(size=SIZES)
@settings(deadline=None, max_examples=60)
def test_every_panel_can_be_seen_at_every_size(size: tuple[int, int]) -> None:
    seen = {
        name
        for view in VIEW_SLOTS
        for page in range(pages(view, *size))
        for name in place_panels(view, *size, page=page)
    }
    assert seen == set(PANELS)


def test_every_view_has_a_title_a_key_and_panels() -> None:
    assert [name for name, _ in VIEW_TITLES] == list(VIEW_SLOTS)
    assert all(DEFAULT_KEYMAP.first_key(f"production_{view}") for view in VIEW_SLOTS)
    assert {slot.panel for slots in VIEW_SLOTS.values() for slot in slots} == set(PANELS)


def test_the_whole_table_is_in_sight_at_the_smallest_usual_size() -> None:
    regions = place_panels("targets", 80, 24 - AROUND)
    assert set(regions) == {"targets", "alerts"}
    assert regions["targets"].height >= 12


def test_larger_ones_show_everything_at_once() -> None:
    assert set(place_panels("targets", 120, 36 - AROUND)) == {"targets", "alerts", "guards"}


def test_a_maximised_panel_has_all_the_room() -> None:
    assert place_panels("targets", 80, 20, maximized="guards")["guards"].area == 1600
