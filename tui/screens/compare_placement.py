"""Where the panels of the Compare tab lie, for any view and size of terminal: pure functions."""

from collections.abc import Mapping

from textual.geometry import Region

MATRIX_ROWS = 11
"""A heading, six strategies, a blank, the legend and the frame."""
WIDE_FROM, TALL_FROM = 110, 26
"""Cells and rows of the board from which the first view shows what others show alone."""
VERY_TALL_FROM = 38
CELL_SHARE = 45
"""Per cent of a wide board that the explained cell takes."""


def place_panels(
    view: str, width: int, height: int, *, maximized: str | None = None
) -> Mapping[str, Region]:
    """The region of each panel that a view shows in an area of `width` × `height` cells."""
    if maximized is not None:
        return {maximized: Region(0, 0, width, height)}
    if view != "matrix":
        return {view: Region(0, 0, width, height)}
    top = min(MATRIX_ROWS, max(0, height - 3))
    rest = height - top
    placed = {"matrix": Region(0, 0, width, top)}
    if width < WIDE_FROM or height < TALL_FROM:
        return placed | {"cell": Region(0, top, width, rest)}
    left = width * CELL_SHARE // 100
    if height < VERY_TALL_FROM:
        return placed | {
            "cell": Region(0, top, left, rest),
            "findings": Region(left, top, width - left, rest),
        }
    middle = rest * 45 // 100
    return placed | {
        "cell": Region(0, top, left, middle),
        "findings": Region(left, top, width - left, middle),
        "bars": Region(0, top + middle, width, rest - middle),
    }
