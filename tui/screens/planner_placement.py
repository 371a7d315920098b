"""Where the panels of the Planner tab lie, for any view and size of terminal: pure functions."""

from collections.abc import Mapping

from textual.geometry import Region

CURVES = ("curve-memory", "curve-speed", "curve-comm", "curve-scaling")

FORM_NARROW, FORM_WIDE = 33, 38
WIDE_FROM, VERY_WIDE_FROM = 110, 150
TALL_FROM = 40
"""Rows of the board from which the overview shows the charts too."""


def form_width(width: int) -> int:
    return FORM_NARROW if width < WIDE_FROM else FORM_WIDE


def place_panels(
    view: str, width: int, height: int, *, page: int = 0, maximized: str | None = None
) -> Mapping[str, Region]:
    """The region of each panel that a view shows in an area of `width` × `height` cells.

    `page` chooses among the charts where only two have room.
    """
    if maximized is not None:
        return {maximized: Region(0, 0, width, height)}
    left = form_width(width)
    right = Region(left, 0, width - left, height)
    lay_out = {
        "overview": _overview,
        "scaling": _scaling,
        "layouts": _layouts,
        "formulas": _formulas,
        "decision": _decision,
        "serving": _serving,
        "export": _export,
        "compare": _compare,
    }[view]
    return {"form": Region(0, 0, left, height), **lay_out(right, page)}


def pages(view: str, width: int, height: int) -> int:
    """How many pages a view takes."""
    width_left = width - form_width(width)
    if view == "scaling":
        return 1 if width_left >= 76 or height >= 40 else 2
    if view == "decision":
        return 1 if width_left >= 70 else 2
    if view == "layouts":
        return 1 if width_left >= 100 or height >= 40 else 2
    if view == "overview":
        return 1 if "memory" in place_panels(view, width, height) else 2
    if view == "export":
        return 1 if height >= 30 else 2
    return 1


def _overview(area: Region, page: int) -> dict[str, Region]:
    if page == 1:
        top = min(12, area.height // 2)
        return _rows(area, {"memory": top, "step": area.height - top})
    if area.width < 70:
        top = max(9, min(14, area.height - 9))
        return _rows(area, {"summary": top, "strategies": area.height - top})
    if area.width < 105 or area.height < TALL_FROM - 6:
        top = min(14, max(9, (area.height - 9) // 2 + 1))
        first, rest = _split_rows(area, top)
        placed = _columns(first, ("summary", "step"))
        if rest.height < 15:
            return placed | {"strategies": rest}
        second, third = _split_rows(rest, 9)
        return placed | {"strategies": second} | _columns(third, ("memory", "curve-speed"))
    first, rest = _split_rows(area, 14)
    second, third = _split_rows(rest, 9)
    placed = {**_columns(first, ("summary", "memory", "step")), "strategies": second}
    if third.height >= 18:
        upper, lower = _split_rows(third, third.height // 2)
        return placed | _columns(upper, CURVES[:2]) | _columns(lower, CURVES[2:])
    return placed | _columns(third, CURVES[:2])


def _scaling(area: Region, page: int) -> dict[str, Region]:
    if area.width >= 76:
        upper, lower = _split_rows(area, area.height // 2)
        return _columns(upper, CURVES[:2]) | _columns(lower, CURVES[2:])
    if area.height >= 40:
        quarter = area.height // 4
        heights = dict.fromkeys(CURVES, quarter)
        return _rows(area, heights)
    charts = CURVES[:2] if page == 0 else CURVES[2:]
    return _rows(area, {charts[0]: area.height // 2, charts[1]: area.height - area.height // 2})


def _layouts(area: Region, page: int) -> dict[str, Region]:
    low = min(16, area.height * 2 // 5)
    if area.width >= 100:
        upper, lower = _split_rows(area, max(area.height - 24, min(15, area.height - low)))
        return {"layouts": upper, **_columns(lower, ("why", "front"))}
    if area.height >= 40:
        return _rows(area, {"layouts": 14, "front": 14, "why": area.height - 28})
    table = "layouts" if page == 0 else "front"
    return _rows(area, {table: area.height - low, "why": low})


def _formulas(area: Region, page: int) -> dict[str, Region]:
    if area.width >= 110:
        tree = area.width * 55 // 100
        return {
            "tree": Region(area.x, area.y, tree, area.height),
            "detail": Region(area.x + tree, area.y, area.width - tree, area.height),
        }
    detail = max(9, area.height * 2 // 5)
    return _rows(area, {"tree": area.height - detail, "detail": detail})


def _decision(area: Region, page: int) -> dict[str, Region]:
    if area.width >= 70:
        guide = min(17, area.height // 2)
        return _rows(area, {"decision": area.height - guide, "guide": guide})
    return _rows(area, {"decision" if page == 0 else "guide": area.height})


def _serving(area: Region, page: int) -> dict[str, Region]:
    if area.width >= 130 and area.height < 40:
        return _columns(area, ("matrix", "server"))
    server = min(20, max(9, area.height * 11 // 20))
    return _rows(area, {"matrix": area.height - server, "server": server})


def _export(area: Region, page: int) -> dict[str, Region]:
    if area.height >= 30:
        return _rows(area, {"engines": 8, "export": area.height - 8})
    return _rows(area, {"engines" if page == 0 else "export": area.height})


def _compare(area: Region, page: int) -> dict[str, Region]:
    return {"comparison": area}


def _split_rows(area: Region, rows: int) -> tuple[Region, Region]:
    rows = min(rows, area.height)
    return (
        Region(area.x, area.y, area.width, rows),
        Region(area.x, area.y + rows, area.width, area.height - rows),
    )


def _columns(area: Region, names: tuple[str, ...]) -> dict[str, Region]:
    edges = [area.width * index // len(names) for index in range(len(names) + 1)]
    return {
        name: Region(area.x + left, area.y, right - left, area.height)
        for name, left, right in zip(names, edges, edges[1:], strict=False)
    }


def _rows(area: Region, heights: Mapping[str, int]) -> dict[str, Region]:
    """Panels one below the other; the last takes what is left."""
    placed: dict[str, Region] = {}
    top = area.y
    for index, (name, height) in enumerate(heights.items()):
        last = index == len(heights) - 1
        rows = area.bottom - top if last else height
        placed[name] = Region(area.x, top, area.width, rows)
        top += rows
    return placed
