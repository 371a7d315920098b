"""Tables as lines of inked text: columns that line up, the least needed left out first."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..drawing.line import Line, Piece, line, muted

GAP, NARROW_GAP = 2, 1


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading and a cell for each row. Of the columns that do not fit, those of
    the highest `rank` go first; one of rank 0 stays."""

    title: str
    cells: Sequence[Line | Piece | str]
    right: bool = True
    rank: int = 0

    @property
    def width(self) -> int:
        return max([len(self.title), *(line(cell).width for cell in self.cells)])


def table(columns: Sequence[Column], width: int) -> tuple[Line, list[Line]]:
    """The headings and the rows in at most `width` cells (unless columns of rank 0 need more)."""
    fitting = list(columns)
    gap = GAP if _total(fitting, GAP) <= width else NARROW_GAP
    while _total(fitting, gap) > width:
        least_needed = max(fitting, key=lambda column: column.rank)
        if least_needed.rank == 0:
            break
        fitting.remove(least_needed)
    rows = max((len(column.cells) for column in fitting), default=0)
    gap = GAP if _total(fitting, GAP) <= width else NARROW_GAP
    head = _row([muted(column.title) for column in fitting], fitting, gap)
    return head, [
        _row([column.cells[row] for column in fitting], fitting, gap) for row in range(rows)
    ]


def _total(columns: Sequence[Column], gap: int) -> int:
    return sum(column.width for column in columns) + gap * (len(columns) - 1)


def _row(cells: Sequence[Line | Piece | str], columns: Sequence[Column], gap: int) -> Line:
    parts: list[Line] = []
    for cell, column in zip(cells, columns, strict=True):
        text = line(cell)
        pad = " " * (column.width - text.width)
        parts.append(line(pad, text) if column.right else line(text, pad))
        parts.append(line(" " * gap))
    return line(*parts[:-1])
