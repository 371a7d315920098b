"""Where the panels of the Live tab lie, for any size of terminal: a pure function.

Panels stand in columns. Each has a least height; where not all fit, the least needed goes. What
is left over is shared out by weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.geometry import Region

MIN_WIDTH, MIN_HEIGHT = 60, 18
"""The smallest terminal that shows anything worth reading."""

TWO_COLUMNS_FROM = 76
THREE_COLUMNS_FROM = 200
FIXED_ROWS = 6
"""Header, effect strip, two rows of controls, event line, footer."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A panel in a column: heights in rows, frame included. The highest `rank` goes first."""

    name: str
    least: int
    ideal: int
    weight: int
    rank: int


def fits(width: int, height: int) -> bool:
    """Whether a terminal is large enough."""
    return width >= MIN_WIDTH and height >= MIN_HEIGHT


def slots(gpu_lines: int) -> dict[str, Slot]:
    """The panels. The GPU panel wants as many rows as it has lines."""
    gpu_rows = gpu_lines + 2
    every = (
        Slot("throughput", 5, 7, 5, 0),
        Slot("gpu", 5, gpu_rows, 2, 3),
        Slot("stream", 4, 10, 3, 2),
        Slot("latency", 5, 9, 4, 1),
        Slot("cache", 4, 6, 2, 5),
        Slot("queue", 4, 5, 2, 4),
    )
    return {slot.name: slot for slot in every}


def columns_for(width: int) -> tuple[tuple[str, ...], ...]:
    """Which panels stand in which column, from the left, each from the top."""
    if width < TWO_COLUMNS_FROM:
        return (("throughput", "latency", "gpu", "cache", "queue", "stream"),)
    if width < THREE_COLUMNS_FROM:
        return (("throughput", "gpu", "stream"), ("latency", "cache", "queue"))
    return (("throughput", "stream"), ("latency", "queue"), ("gpu", "cache"))


def plan(
    width: int, height: int, *, gpu_lines: int = 7, maximized: str | None = None
) -> dict[str, Region]:
    """The region of each panel that is shown, in an area of `width` × `height` cells."""
    if maximized is not None:
        return {maximized: Region(0, 0, width, height)}
    every = slots(gpu_lines)
    columns = columns_for(width)
    regions: dict[str, Region] = {}
    for index, names in enumerate(columns):
        left = width * index // len(columns)
        right = width * (index + 1) // len(columns)
        top = 0
        for name, rows in heights([every[name] for name in names], height):
            regions[name] = Region(left, top, right - left, rows)
            top += rows
    return regions


def heights(column: Sequence[Slot], height: int) -> list[tuple[str, int]]:
    """How high each panel of a column is; together they fill it. Some may be left out."""
    shown = list(column)
    while len(shown) > 1 and sum(slot.least for slot in shown) > height:
        shown.remove(max(shown, key=lambda slot: slot.rank))
    rows = {slot.name: slot.least for slot in shown}
    left = height - sum(rows.values())
    for slot in sorted(shown, key=lambda slot: slot.rank):
        more = max(0, min(slot.ideal - slot.least, left))
        rows[slot.name] += more
        left -= more
    weights = sum(slot.weight for slot in shown)
    seen = given = 0
    for slot in shown:
        seen += slot.weight
        share = left * seen // weights - given if weights else 0
        rows[slot.name] += share
        given += share
    rows[shown[0].name] += left - given
    return [(slot.name, rows[slot.name]) for slot in shown]
