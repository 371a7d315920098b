"""Where the panels of the Sessions tab lie, for any size of terminal: a pure function."""

from collections.abc import Mapping

from textual.geometry import Region

WIDE_FROM = 190
"""Cells of the board from which the preview stands beside the list."""
LIST_SHARE = 60
"""Per cent of a wide board that the list takes."""
LEAST_PREVIEW_ROWS = 10


def place_panels(
    width: int, height: int, *, diffing: bool = False, maximized: str | None = None
) -> Mapping[str, Region]:
    """The region of each panel in an area of `width` × `height` cells. A diff needs more room than
    a preview."""
    if maximized is not None:
        return {maximized: Region(0, 0, width, height)}
    if diffing:
        top = min(7, height // 3)
        return {
            "list": Region(0, 0, width, top),
            "preview": Region(0, top, width, height - top),
        }
    if width >= WIDE_FROM:
        left = width * LIST_SHARE // 100
        return {
            "list": Region(0, 0, left, height),
            "preview": Region(left, 0, width - left, height),
        }
    top = max(height // 2, height - LEAST_PREVIEW_ROWS * 2)
    return {"list": Region(0, 0, width, top), "preview": Region(0, top, width, height - top)}
