"""What a panel of rows says: rows that can be chosen, between a head and a foot that stay."""

from dataclasses import dataclass

from .line import EMPTY, Line


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `target` is what choosing it opens; rows without one are passed over."""

    line: Line
    target: str | None = None


@dataclass(frozen=True, slots=True)
class RowsView:
    """A panel's title and key figure, its head, its rows from the top, and its foot.

    The first cell of every row is left free: there the chosen one is pointed at.
    """

    title: Line
    figures: Line = EMPTY
    head: tuple[Line, ...] = ()
    rows: tuple[Row, ...] = ()
    foot: tuple[Line, ...] = ()
