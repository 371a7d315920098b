"""The frame around a panel: its upper edge with title and headline, and its lower edge."""

from ..style.inks import Ink, Palette
from .line import Line, Piece


def frame_top(title: Line, headline: Line, width: int, palette: Palette, border: Ink) -> Line:
    """The upper edge of a frame, `width` cells: `╭ Title ───── headline ╮`.

    The headline gives way first, then the title is cut.
    """
    box = palette.glyphs.box
    free = width - 4
    if free < 1:
        return Line.of(Piece((box.top_left + box.horizontal * width)[:width], border))
    left = Line.of(Piece(" "), title, Piece(" ")) if title.pieces else Line()
    right = Line.of(Piece(" "), headline, Piece(" ")) if headline.pieces else Line()
    if left.width + right.width > free:
        right = Line()
    left = left.fitted(min(left.width, free))
    edge = box.horizontal * (free - left.width - right.width)
    return Line.of(
        Piece(box.top_left + box.horizontal, border),
        left,
        Piece(edge, border),
        right,
        Piece(box.horizontal + box.top_right, border),
    )


def frame_bottom(footnote: Line, width: int, palette: Palette, border: Ink) -> Line:
    """The lower edge of a frame: `╰──────── footnote ─╯`; the footnote only where it fits."""
    box = palette.glyphs.box
    note = Line.of(Piece(" "), footnote, Piece(" ")) if footnote.pieces else Line()
    if note.width > width - 4:
        note = Line()
    left = Piece(box.bottom_left + box.horizontal * (width - 3 - note.width), border)
    return Line.of(left, note, Piece(box.horizontal + box.bottom_right, border))
