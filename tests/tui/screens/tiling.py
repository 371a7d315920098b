"""What holds of panels on any board: they tile it, and none is too small to be read."""

from collections.abc import Mapping

from hypothesis import strategies as st
from prodtop.tui.screens.tab import MIN_HEIGHT, MIN_WIDTH
from textual.geometry import Region

AROUND = 4
"""Lines around the board."""
SIZES = st.tuples(st.integers(MIN_WIDTH, 260), st.integers(MIN_HEIGHT - AROUND, 90))
"""Width and height of a board."""


def assert_tiled(regions: Mapping[str, Region], width: int, height: int) -> None:
    """Every cell of the board is one panel's."""
    cells = {
        (x, y)
        for region in regions.values()
        for x in range(region.x, region.right)
        for y in range(region.y, region.bottom)
    }
    assert len(cells) == width * height
    assert sum(region.area for region in regions.values()) == width * height
    assert all(region.height >= 5 and region.width >= 30 for region in regions.values())
