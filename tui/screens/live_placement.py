"""Where the panels of the Live tab lie, for any size of terminal: a pure function.

Panels stand in columns, and the table of requests below them, as wide as the screen. Each has a
least height; where not all fit, the least needed goes. What is left over is shared out by weight.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual.geometry import Region

TWO_COLUMNS_FROM = 76
THREE_COLUMNS_FROM = 200
GPU_LINES = 7
"""Lines that the GPU panel has for one GPU, or for the CPU."""
WHOLE_LEGEND_FROM = 66
"""From this width on the legend of its memory is one of them; below, two."""
FIXED_ROWS = 6
"""Header, effect strip, two rows of controls, event line, footer."""

REQUESTS = "requests"
LEAST_REQUESTS_ROWS = 6
REQUESTS_SHARE = 4
"""The table of requests has at least one of this many rows, once it is there."""


@dataclass(frozen=True, slots=True)
class PanelHeight:
    """How high a panel may be, in rows with its frame. Where not all fit, the highest `rank` goes
    first. With `ideal` rows it says all that it has in words, with `charted` it also has a chart;
    what is left over is shared out by `weight`. Above `most` a panel says no more: then others have
    a better use for the rows."""

    name: str
    least: int
    ideal: int
    charted: int
    most: int
    weight: int
    rank: int


def panel_heights(gpu_lines: int) -> dict[str, PanelHeight]:
    """The panels. The GPU panel wants as many rows as it has lines. Figures rank before the text
    of one request."""
    gpu_rows = gpu_lines + 2
    every = (
        PanelHeight("throughput", 5, 7, 7, 20, 5, 0),
        PanelHeight("latency", 5, 9, 13, 20, 4, 1),
        PanelHeight("queue", 4, 5, 8, 12, 1, 2),
        PanelHeight("gpu", 5, gpu_rows, gpu_rows, gpu_rows, 0, 3),
        PanelHeight("cache", 4, 6, 9, 12, 1, 4),
        PanelHeight(REQUESTS, LEAST_REQUESTS_ROWS, 8, 8, 200, 3, 5),
        PanelHeight("stream", 4, 6, 6, 12, 1, 6),
    )
    return {panel.name: panel for panel in every}


def columns_for(width: int) -> tuple[tuple[str, ...], ...]:
    """Which panels stand in which column, from the left, each from the top."""
    if width < TWO_COLUMNS_FROM:
        return (("throughput", "latency", "gpu", "cache", "queue", REQUESTS, "stream"),)
    if width < THREE_COLUMNS_FROM:
        return (("throughput", "gpu", "stream"), ("latency", "cache", "queue"))
    return (("throughput", "stream"), ("latency",), ("gpu", "cache", "queue"))


def gpu_panel_lines(width: int, gpus: int, *, some_lost: bool) -> int:
    """The lines of the GPU panel on a screen of `width` cells: one more for every GPU beside the
    first, and one where some were lost."""
    narrow = width // len(columns_for(width)) < WHOLE_LEGEND_FROM
    return GPU_LINES + narrow + max(0, gpus - 1) + some_lost


def place_panels(
    width: int, height: int, *, gpu_lines: int = GPU_LINES, maximized: str | None = None
) -> dict[str, Region]:
    """The region of each panel that is shown, in an area of `width` × `height` cells."""
    if maximized is not None:
        return {maximized: Region(0, 0, width, height)}
    panels = panel_heights(gpu_lines)
    columns = columns_for(width)
    table_rows = _table_rows(columns, panels, height)
    regions: dict[str, Region] = {}
    for index, names in enumerate(columns):
        left = width * index // len(columns)
        right = width * (index + 1) // len(columns)
        top = 0
        for name, rows in heights([panels[name] for name in names], height - table_rows):
            regions[name] = Region(left, top, right - left, rows)
            top += rows
    if table_rows:
        regions[REQUESTS] = Region(0, height - table_rows, width, table_rows)
    return regions


def _table_rows(
    columns: Sequence[Sequence[str]], panels: Mapping[str, PanelHeight], height: int
) -> int:
    """The rows of the table of requests below the columns; 0 where it stands in one of them, or
    where they would lose a panel to it."""
    if any(REQUESTS in names for names in columns):
        return 0
    least = max(sum(panels[name].least for name in names) for names in columns)
    most = sum(panels[name].most for name in columns[0])
    if height - least < LEAST_REQUESTS_ROWS:
        return 0
    wanted = max(LEAST_REQUESTS_ROWS, height // REQUESTS_SHARE, height - most)
    return min(wanted, height - least)


def heights(column: Sequence[PanelHeight], height: int) -> list[tuple[str, int]]:
    """How high each panel of a column is; together they fill it. Some may be left out."""
    panels = list(column)
    while len(panels) > 1 and sum(panel.least for panel in panels) > height:
        panels.remove(max(panels, key=lambda panel: panel.rank))
    rows = {panel.name: panel.least for panel in panels}
    rows_left = height - sum(rows.values())
    for panel in sorted(panels, key=lambda panel: panel.rank):
        more = max(0, min(panel.ideal - panel.least, rows_left))
        rows[panel.name] += more
        rows_left -= more
    for panel in sorted(panels, key=lambda panel: panel.rank):
        # A part of a chart's rows would stay empty.
        missing = panel.charted - rows[panel.name]
        if 0 < missing <= rows_left:
            rows[panel.name] += missing
            rows_left -= missing
    weights = sum(panel.weight for panel in panels)
    weight_so_far = shared_out = 0
    for panel in panels:
        weight_so_far += panel.weight
        share = rows_left * weight_so_far // weights - shared_out if weights else 0
        rows[panel.name] += share
        shared_out += share
    # What nobody has a weight for goes to the last one.
    rows[panels[0 if weights else -1].name] += rows_left - shared_out
    roomiest = max(panels, key=lambda panel: panel.most - rows[panel.name])
    for panel in panels:
        over = max(0, rows[panel.name] - panel.most) if panel is not roomiest else 0
        rows[panel.name] -= over
        rows[roomiest.name] += over
    return [(panel.name, rows[panel.name]) for panel in panels]
