"""Where the panels of the Quality tab lie, for any view and size of terminal: pure functions."""

from collections.abc import Mapping

from textual.geometry import Region

LEVEL_ROWS = 10
"""Of the table: a heading, six levels, a line below and the frame."""
ADVICE_ROWS = 5
HEAT_ROWS, CELL_ROWS, SCHEME_ROWS = 12, 7, 13
BAR_ROWS, EFFICIENCY_ROWS = 9, 11
TALL_FROM, WIDE_FROM = 30, 110
"""From here on a view has room for what smaller ones have on a second page."""
VERY_TALL_FROM = 42
THREE_FROM = 150
"""Cells of the board from which three panels stand side by side."""

Placed = dict[str, Region]


def place_panels(
    view: str, width: int, height: int, *, page: int = 0, maximized: str | None = None
) -> Mapping[str, Region]:
    """The region of each panel that a view shows in an area of `width` × `height` cells."""
    area = Region(0, 0, width, height)
    if maximized is not None:
        return {maximized: area}
    lay_out = {
        "overview": _overview,
        "charts": _charts,
        "layers": _layers,
        "texts": _texts,
    }[view]
    return lay_out(area, page)


def pages(view: str, width: int, height: int) -> int:
    """How many pages a view takes."""
    if view == "charts":
        return 1 if height >= TALL_FROM else 2
    if view == "layers":
        return 1 if height >= HEAT_ROWS + CELL_ROWS + SCHEME_ROWS - 3 else 2
    return 1


def _overview(area: Region, page: int) -> Placed:
    levels, rest = _split(area, min(LEVEL_ROWS, area.height - ADVICE_ROWS))
    if rest.height < ADVICE_ROWS + BAR_ROWS:
        return {"levels": levels, "advice": rest}
    advice, rest = _split(rest, ADVICE_ROWS)
    placed = {"levels": levels, "advice": advice}
    if rest.width < WIDE_FROM:
        return placed | {"tradeoff": rest}
    upper, lower = _split(rest, rest.height - HEAT_ROWS)
    if upper.height < EFFICIENCY_ROWS:
        return placed | _columns(rest, ("tradeoff", "bars"))
    placed |= _columns(lower, ("heat", "texts"))
    if upper.width < THREE_FROM:
        return placed | _columns(upper, ("tradeoff", "bars"))
    chart, rest = _split_columns(upper, upper.width * 36 // 100)
    bars, efficiency = _split_columns(rest, upper.width * 36 // 100)
    return placed | {"tradeoff": chart, "bars": bars, "efficiency": efficiency}


def _charts(area: Region, page: int) -> Placed:
    if area.height < TALL_FROM:
        if page == 0:
            return {"tradeoff": area}
        bars, efficiency = _split(area, min(BAR_ROWS, area.height // 2))
        return {"bars": bars, "efficiency": efficiency}
    if area.width >= WIDE_FROM:
        upper, lower = _split(area, area.height - EFFICIENCY_ROWS)
        return {"tradeoff": upper, **_columns(lower, ("bars", "efficiency"))}
    upper, lower = _split(area, area.height - BAR_ROWS - EFFICIENCY_ROWS)
    bars, efficiency = _split(lower, BAR_ROWS)
    return {"tradeoff": upper, "bars": bars, "efficiency": efficiency}


def _layers(area: Region, page: int) -> Placed:
    if pages("layers", area.width, area.height) == 2 and page == 1:
        return {"schemes": area}
    if pages("layers", area.width, area.height) == 2:
        heat, cell = _split(area, max(area.height - CELL_ROWS, area.height // 2))
        return {"heat": heat, "cell": cell}
    schemes, rest = _split(area, SCHEME_ROWS - 1)
    heat, cell = _split(rest, max(rest.height - CELL_ROWS - 1, rest.height // 2))
    return {"schemes": schemes, "heat": heat, "cell": cell}


def _texts(area: Region, page: int) -> Placed:
    if area.height < VERY_TALL_FROM:
        return {"texts": area}
    levels, texts = _split(area, LEVEL_ROWS)
    return {"levels": levels, "texts": texts}


def _split(area: Region, rows: int) -> tuple[Region, Region]:
    rows = max(0, min(rows, area.height))
    return (
        Region(area.x, area.y, area.width, rows),
        Region(area.x, area.y + rows, area.width, area.height - rows),
    )


def _split_columns(area: Region, cells: int) -> tuple[Region, Region]:
    return (
        Region(area.x, area.y, cells, area.height),
        Region(area.x + cells, area.y, area.width - cells, area.height),
    )


def _columns(area: Region, names: tuple[str, str]) -> Placed:
    left, right = _split_columns(area, area.width // 2)
    return {names[0]: left, names[1]: right}
