"""Lines of inked text: built from pieces, fitted to a width, compared, and turned into strips."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from ..style.glyphs import Glyphs
from ..style.inks import Ink, Palette


class Piece(NamedTuple):
    """Some text in one ink. `click`: the Textual action that a click on it runs."""

    text: str
    ink: Ink = Ink.TEXT
    click: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a widget: pieces from left to right."""

    pieces: tuple[Piece, ...] = ()

    @classmethod
    def of(cls, *pieces: "str | Piece | Line") -> "Line":
        """Join strings (in the ink for text), pieces and other lines."""
        joined: list[Piece] = []
        for piece in pieces:
            if isinstance(piece, Line):
                joined += piece.pieces
            elif piece:
                joined.append(piece if isinstance(piece, Piece) else Piece(piece))
        return cls(tuple(piece for piece in joined if piece.text))

    def __add__(self, other: "Line") -> "Line":
        return Line(self.pieces + other.pieces)

    @property
    def plain(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def width(self) -> int:
        """Terminal cells."""
        return sum(cell_len(piece.text) for piece in self.pieces)

    def fitted(self, width: int) -> "Line":
        """Cut or padded with spaces to `width` cells."""
        missing = width - self.width
        if missing >= 0:
            return self + Line((Piece(" " * missing),)) if missing else self
        pieces: list[Piece] = []
        cells_left = width
        for piece in self.pieces:
            text = _head(piece.text, cells_left)
            pieces.append(piece._replace(text=text))
            cells_left -= cell_len(text)
            if len(text) < len(piece.text):
                break
        return Line((*pieces, Piece(" " * cells_left))) if cells_left else Line(tuple(pieces))

    def strip(self, palette: Palette, width: int) -> Strip:
        """What the terminal gets, exactly `width` cells."""
        segments = [
            Segment(piece.text, _style(piece, palette)) for piece in self.fitted(width).pieces
        ]
        return Strip(segments, width)


def _style(piece: Piece, palette: Palette) -> Style:
    style = palette.styles[piece.ink]
    return style + Style(meta={"@click": piece.click}) if piece.click else style


def changed_spans(before: Line, after: Line, *, join: int = 6) -> list[tuple[int, int]]:
    """Where two lines differ: (first cell, cells), spans closer than `join` cells as one."""
    old, new = _cells(before), _cells(after)
    longer = max(len(old), len(new))
    old += [_BLANK] * (longer - len(old))
    new += [_BLANK] * (longer - len(new))
    spans: list[tuple[int, int]] = []
    for x in range(longer):
        if old[x] == new[x]:
            continue
        start, length = spans[-1] if spans else (x, 0)
        if spans and x - (start + length) < join:
            spans[-1] = (start, x + 1 - start)
        else:
            spans.append((x, 1))
    return spans


_BLANK = (" ", Ink.TEXT)


def _cells(line: Line) -> list[tuple[str, Ink]]:
    """The content of each cell; both cells of a wide character change together."""
    cells: list[tuple[str, Ink]] = []
    for text, ink, _ in line.pieces:
        if text.isascii():
            cells += [(character, ink) for character in text]
            continue
        for character in text:
            cells.append((character, ink))
            cells.extend([(character + " ", ink)] * (cell_len(character) - 1))
    return cells


def joined(lines: Iterable[Line], separator: Line) -> Line:
    """Lines one after the other with `separator` between them."""
    pieces: list[Piece] = []
    for line in lines:
        if pieces:
            pieces += separator.pieces
        pieces += line.pieces
    return Line(tuple(pieces))


def runs(pieces: Iterable[Piece]) -> Line:
    """Pieces from left to right with neighbours of one ink as one. A blank joins what stands before
    it: its ink cannot be seen, and each change of ink costs some forty bytes at the terminal."""
    merged: list[Piece] = []
    for piece in pieces:
        if merged and (piece.ink is merged[-1].ink or not piece.text.strip(" ")):
            merged[-1] = Piece(merged[-1].text + piece.text, merged[-1].ink)
        elif piece.text:
            merged.append(piece)
    return Line(tuple(merged))


def _head(text: str, width: int) -> str:
    """As much of `text` as fits into `width` cells."""
    if cell_len(text) <= width:
        return text
    end = min(len(text), max(0, width))
    while end and cell_len(text[:end]) > width:
        end -= 1
    return text[:end]


EMPTY = Line()
line = Line.of


def muted(text: str) -> Piece:
    return Piece(text, Ink.MUTED)


def strong(text: str) -> Piece:
    return Piece(text, Ink.STRONG)


def faint(text: str) -> Piece:
    return Piece(text, Ink.FAINT)


def rule(text: str) -> Piece:
    return Piece(text, Ink.RULE)


def facts(parts: Sequence[Line], width: int, glyphs: Glyphs) -> Line:
    """As many of the facts, in order, as fit whole into a width, with dots between them."""
    separator = line(rule(f" {glyphs.dot} "))
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


_PLAIN = str.maketrans(
    {
        "→": "->",
        "×": "x",
        "÷": "/",
        "λ": "l",
        "−": "-",
        "·": "*",
        "≥": ">=",
        "±": "+-",
        "↑": "^",
        "↓": "v",
        "…": "~",
    }
)


def in_glyphs(text: str, glyphs: Glyphs) -> str:
    """Our own messages in the terminal's characters: arrows, crosses and the like become ASCII."""
    return text if glyphs.unicode else text.translate(_PLAIN)


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
