"""Where the panels of the Production tab lie, for any view and size of terminal: pure functions.

To add a panel, give it a `Slot` in `VIEW_SLOTS`, under the view that it belongs to. A view stacks
its panels in two columns where there is room, else in one, on as many pages as that takes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual.geometry import Region

TWO_COLUMNS_FROM = 110
"""Cells of the board from which two panels stand side by side."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A panel's place: at least `least` rows with its frame, and of those left over a share by
    `weight`. One that is `wide` has the width of the board."""

    panel: str
    least: int
    weight: int = 1
    wide: bool = False


VIEW_SLOTS: dict[str, tuple[Slot, ...]] = {
    "targets": (
        Slot("targets", 13, wide=True, weight=0),
        Slot("alerts", 5),
        Slot("guards", 7),
    ),
    "cost": (Slot("cost", 21, weight=0), Slot("what_ifs", 16), Slot("cells", 11, wide=True)),
    "capacity": (Slot("capacity", 16), Slot("curve", 9)),
    "readiness": (Slot("readiness", 10, wide=True),),
}
"""By view, the panels in their order."""

Row = tuple[Slot, ...]
"""One panel, or two side by side."""


def place_panels(
    view: str, width: int, height: int, *, page: int = 0, maximized: str | None = None
) -> Mapping[str, Region]:
    """The region of each panel that a page of a view shows in `width` × `height` cells."""
    if maximized is not None:
        return {maximized: Region(0, 0, width, height)}
    every = _pages(_rows(VIEW_SLOTS[view], width), height)
    return _placed(every[page % len(every)], width, height)


def pages(view: str, width: int, height: int) -> int:
    """How many pages a view takes."""
    return len(_pages(_rows(VIEW_SLOTS[view], width), height))


def _rows(slots: Sequence[Slot], width: int) -> list[Row]:
    rows: list[Row] = []
    for slot in slots:
        beside = rows[-1] if rows else ()
        if width >= TWO_COLUMNS_FROM and len(beside) == 1 and not (slot.wide or beside[0].wide):
            rows[-1] = (*beside, slot)
        else:
            rows.append((slot,))
    return rows


def _pages(rows: Sequence[Row], height: int) -> list[list[Row]]:
    """Rows of panels by page, each page with as many as have their least height."""
    every: list[list[Row]] = [[]]
    for row in rows:
        if every[-1] and sum(_least(each) for each in (*every[-1], row)) > height:
            every.append([])
        every[-1].append(row)
    return every


def _least(row: Row) -> int:
    return max(slot.least for slot in row)


def _placed(rows: Sequence[Row], width: int, height: int) -> dict[str, Region]:
    heights = [min(_least(row), height) for row in rows]
    left = height - sum(heights)
    weights = [max(slot.weight for slot in row) for row in rows]
    total, so_far, given = sum(weights), 0, 0
    for place, weight in enumerate(weights):
        so_far += weight
        share = left * so_far // total - given if total else 0
        heights[place] += share
        given += share
    heights[-1] += left - given
    placed: dict[str, Region] = {}
    top = 0
    for row, rows_high in zip(rows, heights, strict=True):
        for place, slot in enumerate(row):
            begin, end = width * place // len(row), width * (place + 1) // len(row)
            placed[slot.panel] = Region(begin, top, end - begin, rows_high)
        top += rows_high
    return placed
