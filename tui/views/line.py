"""Helpers for lines of inked text: what views return and widgets paint."""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size

from ..drawing.segments import Line, Piece, joined
from ..style.glyphs import Glyphs
from ..style.look import Ink

__all__ = [
    "EMPTY",
    "Line",
    "Piece",
    "centred",
    "clipped",
    "ends",
    "facts",
    "faint",
    "first_fitting",
    "in_glyphs",
    "joined",
    "line",
    "muted",
    "strong",
    "wrapped",
]

EMPTY = Line()
line = Line.of


def muted(text: str) -> Piece:
    return Piece(text, Ink.MUTED)


def strong(text: str) -> Piece:
    return Piece(text, Ink.STRONG)


def faint(text: str) -> Piece:
    return Piece(text, Ink.FAINT)


def facts(parts: Sequence[Line], width: int, glyphs: Glyphs) -> Line:
    """As many of the facts, in order, as fit whole into a width, with dots between them."""
    separator = line(faint(f" {glyphs.dot} "))
    return first_fitting(
        (joined(parts[:count], separator) for count in range(len(parts), 0, -1)), width
    )


def first_fitting(candidates: Iterable[Line], width: int) -> Line:
    """The first line that fits into a width; an empty one when none does."""
    return next((candidate for candidate in candidates if candidate.width <= width), EMPTY)


def ends(left: Line, right: Line, width: int) -> Line:
    """`left` and `right` at the two edges; where both do not fit, the right one is left out."""
    gap = width - left.width - right.width
    return line(left, " " * gap, right) if gap > 0 else left


def centred(content: Line | Piece, width: int) -> Line:
    """A line in the middle of a width."""
    whole = line(content)
    return line(" " * (max(0, width - whole.width) // 2), whole)


def clipped(content: Line, width: int, glyphs: Glyphs) -> Line:
    """A line cut to a width, an ellipsis in the last cell where something was cut."""
    if content.width <= width:
        return content
    return line(content.fitted(width - 1), muted(glyphs.ellipsis))


def in_glyphs(text: str, glyphs: Glyphs) -> str:
    """Our own messages in the terminal's characters: arrows and crosses become plain ASCII."""
    return text if glyphs.unicode else text.replace("→", "->").replace("×", "x")


def wrapped(text: str, width: int) -> list[str]:
    """Text broken at spaces into lines of at most `width` cells; longer words are broken."""
    rows: list[str] = []
    for paragraph in text.split("\n"):
        rows.extend(_wrapped_paragraph(paragraph, max(1, width)))
    return rows


def _wrapped_paragraph(paragraph: str, width: int) -> list[str]:
    rows: list[str] = []
    row = ""
    for word in paragraph.split(" "):
        longer = f"{row} {word}" if row else word
        if cell_len(longer) <= width:
            row = longer
            continue
        if row:
            rows.append(row)
        row = word
        while cell_len(row) > width:
            head = set_cell_size(row, width).rstrip(" ") or row[0]
            rows.append(head)
            row = row[len(head) :]
    rows.append(row)
    return rows
