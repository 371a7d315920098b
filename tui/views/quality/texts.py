"""The greedy texts of two levels side by side, with the place where they part."""

from itertools import takewhile, zip_longest

from ....engine.protocol import GreedyText, LevelQuality
from ...drawing.line import EMPTY, Line, Piece, clipped, line, muted, wrapped
from ...state.moment import Moment
from ...state.quality_advice import Keys
from ...style.inks import Ink
from ..panel import Room, Row, RowsView

GAP = 3


def texts_view(moment: Moment, room: Room, chosen: str, keys: Keys) -> RowsView:
    """The reference on the left; on the right the chosen level, or the next one where that is the
    reference itself."""
    title = line(Piece("Greedy texts", Ink.TITLE))
    base, other = _pair(moment, chosen)
    if base is None or base.greedy is None:
        words = "the reference is being measured" if moment.quality.running else "not measured"
        hint = "" if moment.quality.running else f": {keys.begin} measures"
        return RowsView(title, rows=(Row(line(" ", muted(words + hint))),))
    left = _Text.of(base.greedy.text, base.greedy.text, room)
    if other is None or other.greedy is None:
        right, figures = None, EMPTY
    else:
        right = _Text.of(other.greedy.text, base.greedy.text, room)
        left = _Text.of(base.greedy.text, other.greedy.text, room)
        figures = _figures(other.greedy)
    width = (room.width - 1 - GAP) // 2
    named = line(Piece(other.precision, Ink.STRONG)) if other is not None else EMPTY
    head = [
        line(" ", muted("prompt "), _prompt(base.greedy, room)),
        EMPTY,
        _beside(line(Piece(base.precision, Ink.STRONG)), named, width, room),
    ]
    columns = zip_longest(
        left.lines(width), right.lines(width) if right is not None else (), fillvalue=EMPTY
    )
    rows = [Row(_beside(one, another, width, room)) for one, another in columns]
    return RowsView(title, figures=figures, head=tuple(head), rows=tuple(rows))


def _pair(moment: Moment, chosen: str) -> tuple[LevelQuality | None, LevelQuality | None]:
    quality = moment.quality
    base = quality.reference
    other = quality.level(chosen)
    if other is None or other is base:
        compared = [level for level in quality.levels if level is not base]
        other = next((x for x in compared if x.greedy and x.greedy.parts_at is not None), None)
        other = other or next(iter(compared), None)
    return base, other


def _figures(greedy: GreedyText) -> Line:
    if greedy.parts_at is None:
        return line(Piece("they never part", Ink.OK))
    return line(muted("they part at token "), Piece(str(greedy.parts_at), Ink.STRONG))


def _prompt(greedy: GreedyText, room: Room) -> Line:
    text = " ".join(greedy.prompt.split())
    return clipped(line(text), max(1, room.width - 8), room.glyphs)


def _beside(left: Line, right: Line, width: int, room: Room) -> Line:
    bar = Piece(f" {room.glyphs.axis} ", Ink.FAINT)
    return line(" ", left.fitted(width), bar, right.fitted(width))


class _Text:
    """A text and how many of its characters another one shares."""

    def __init__(self, text: str, shared: int, pointer: str) -> None:
        self._text, self._shared, self._pointer = text, shared, pointer

    @classmethod
    def of(cls, text: str, other: str, room: Room) -> "_Text":
        pairs = zip(text, other, strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        parts = shared < max(len(text), len(other))
        return cls(text, shared, room.glyphs.pointer if parts else "")

    def lines(self, width: int) -> list[Line]:
        """Wrapped; a pointer stands before the first character that differs, and all after it is
        in another ink."""
        marked = self._text[: self._shared] + self._pointer + self._text[self._shared :]
        rows, left = [], self._shared
        place = 0
        for row in wrapped(marked, width):
            # Wrapping takes white space away: where the row begins is looked for, not counted.
            start = marked.find(row, place) if row else place
            start = place if start < 0 else start
            same = min(len(row), max(0, left - start))
            pieces = [Piece(row[:same], Ink.TEXT)]
            if same < len(row) and self._pointer:
                differs = row[same:]
                if start <= left < start + len(row):
                    pieces.append(Piece(differs[0], Ink.MARK))
                    differs = differs[1:]
                pieces.append(Piece(differs, Ink.WARN))
            rows.append(line(*pieces))
            place = start + len(row)
        return rows
