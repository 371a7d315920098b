"""Where the labels of marks stand in their row: beside their signs, never over one another."""

from collections.abc import Sequence

from ..style.formatting import clip
from ..style.glyphs import Glyphs
from ..style.inks import Ink

LEAST_CELLS = 3
"""A label that would be cut to fewer cells is left out: its sign stays."""

Label = tuple[int, str, Ink]
"""The cell where a text begins, the text and its ink."""


def placed_labels(marks: Sequence[Label], width: int, glyphs: Glyphs) -> list[Label]:
    """The labels of marks, each given by the column of its line: `▾label` or `label▾`.

    From the newest mark back: a label stands right of its sign where it is whole there, else left
    of it, else it is cut to the larger of the two. Of marks in one column the newest is named.
    """
    newest_first = sorted(enumerate(marks), key=lambda one: (one[1][0], one[0]), reverse=True)
    ordered = [mark for _, mark in newest_first]
    placed: list[Label] = []
    limit, taken = width, -1
    for index, (column, label, ink) in enumerate(ordered):
        if column == taken or column >= limit:
            continue
        older = next((one for one, _, _ in ordered[index + 1 :] if one < column), -2)
        start, text = _placed(column, label, limit, older + 2, glyphs)
        placed.append((start, text, ink))
        limit, taken = start - 1, column
    return placed


def _placed(column: int, label: str, limit: int, free_from: int, glyphs: Glyphs) -> tuple[int, str]:
    """The start and the text of one label that may take the cells `free_from` … `limit`."""
    right, left = limit - column - 1, column - max(0, free_from)
    if len(label) <= right or (right >= left and right >= LEAST_CELLS):
        return column, glyphs.mark + clip(label, right, ellipsis=glyphs.ellipsis)
    if len(label) <= left or left >= LEAST_CELLS:
        text = clip(label, left, ellipsis=glyphs.ellipsis)
        return column - len(text), text + glyphs.mark
    return column, glyphs.mark
