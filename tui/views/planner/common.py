"""What the planner's panels share: titles, verdicts on memory, rows with a bar."""

from ...drawing.line import Line, Piece, line, muted
from ...drawing.meter import gauge, part_key
from ...style.formatting import percent
from ...style.glyphs import Glyphs
from ...style.inks import Ink
from ..panel import Room, Row

TIGHT = 0.92
"""From this share of the memory on allocators start to retry."""


def panel_title(name: str, note: str = "") -> Line:
    """A panel's name, and what its figures are of where that must be said."""
    return line(Piece(name, Ink.TITLE), Piece(f"  {note}" if note else "", Ink.WARN))


def verdict(share: float, glyphs: Glyphs) -> tuple[str, Ink, str]:
    """A word, an ink and a sign for a share of the memory limit."""
    if share > 1:
        return "too big", Ink.BAD, glyphs.cross
    if share > TIGHT:
        return "tight", Ink.WARN, glyphs.check
    return "fits", Ink.OK, glyphs.check


def bar_row(
    name: str,
    amount: float,
    whole: float,
    text: str,
    room: Room,
    *,
    label: int,
    style: int,
    target: str | None = None,
) -> Row:
    """`▓ name ━━━━────  12.3 GiB  31 %`: a part of a whole as a bar with its figures.

    Sign and ink are those of the part `style` of a stacked bar.
    """
    share = amount / whole if whole > 0 else 0.0
    tail = f" {text} {percent(share, width=5)}"
    key = part_key(style, room.glyphs)
    cells = room.width - 1 - 2 - label - 1 - len(tail)
    bar = gauge(share, cells, room.glyphs, ink=key.ink) if cells >= 4 else line()
    return Row(line(" ", key, " ", muted(name[:label].ljust(label + 1)), bar, tail), target)
