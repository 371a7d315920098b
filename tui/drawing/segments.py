"""Lines of inked text, and the strips that a terminal gets: the step between meaning and style."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip

from ..style.look import Ink, Look


class Piece(NamedTuple):
    """Some text in one ink."""

    text: str
    ink: Ink = Ink.TEXT


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
        kept: list[Piece] = []
        room = width
        for piece in self.pieces:
            text = _head(piece.text, room)
            kept.append(Piece(text, piece.ink))
            room -= cell_len(text)
            if len(text) < len(piece.text):
                break
        return Line((*kept, Piece(" " * room))) if room else Line(tuple(kept))

    def strip(self, look: Look, width: int) -> Strip:
        """What the terminal gets, exactly `width` cells."""
        segments = [
            Segment(piece.text, look.styles[piece.ink]) for piece in self.fitted(width).pieces
        ]
        return Strip(segments, width)


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
    for text, ink in line.pieces:
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


def _head(text: str, width: int) -> str:
    """As much of `text` as fits into `width` cells."""
    if cell_len(text) <= width:
        return text
    end = min(len(text), max(0, width))
    while end and cell_len(text[:end]) > width:
        end -= 1
    return text[:end]
