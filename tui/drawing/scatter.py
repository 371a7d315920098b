"""A chart of labelled points with error bars and levels, as lines of text. Pure, without numpy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..style.glyphs import Glyphs
from ..style.inks import Ink
from .line import Line, Piece

AXIS_CELLS = 7
"""Left of the plot: a value and the axis."""
LABEL_ROWS = (0, -1, 1, -2, 2, -3, 3)
"""How far from its point a label may stand, the nearest first."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point; `low` and `high` are the ends of its interval."""

    x: float
    y: float
    label: str
    ink: Ink = Ink.TEXT
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Axes:
    """What the plot spans, and how its values are written. `levels` are drawn across it."""

    x_end: float
    y_start: float
    y_end: float
    levels: Sequence[tuple[float, Ink]] = ()
    x_text: Callable[[float], str] = "{:.3g}".format
    y_text: Callable[[float], str] = "{:.3g}".format


@dataclass(slots=True)
class _Plot:
    """Cells that are being painted: a character and its ink each."""

    width: int
    height: int
    cells: dict[tuple[int, int], tuple[str, Ink]] = field(default_factory=dict)
    taken: set[tuple[int, int]] = field(default_factory=set)
    """Where nothing else may be written."""

    def put(self, x: int, y: int, text: str, ink: Ink, *, keep: bool = True) -> None:
        for place, character in enumerate(text, start=x):
            if 0 <= place < self.width and 0 <= y < self.height:
                self.cells[place, y] = (character, ink)
                if keep:
                    self.taken.add((place, y))

    def has_room(self, x: int, y: int, cells: int) -> bool:
        inside = x >= 0 and x + cells <= self.width and 0 <= y < self.height
        # A blank beside it parts it from what stands there.
        around = range(x - 1, x + cells + 1)
        return inside and not any((place, y) in self.taken for place in around)

    def row(self, y: int) -> list[Piece]:
        pieces: list[Piece] = []
        for x in range(self.width):
            character, ink = self.cells.get((x, y), (" ", Ink.TEXT))
            if pieces and pieces[-1].ink is ink:
                pieces[-1] = Piece(pieces[-1].text + character, ink)
            else:
                pieces.append(Piece(character, ink))
        return pieces


def scatter(
    points: Sequence[Point], axes: Axes, width: int, height: int, glyphs: Glyphs
) -> list[Line]:
    """`height` lines of `width` cells; the last one has the values of the horizontal axis.

    Labels stand beside their points, or a few rows off where something is in their way; one that
    finds no room is left out.
    """
    plot = _Plot(max(1, width - AXIS_CELLS), max(1, height - 1))

    def column(x: float) -> int:
        return min(plot.width - 1, max(0, round(x / axes.x_end * (plot.width - 1))))

    def row(y: float) -> int:
        share = (axes.y_end - y) / (axes.y_end - axes.y_start)
        return min(plot.height - 1, max(0, round(share * (plot.height - 1))))

    for level, ink in axes.levels:
        plot.put(0, row(level), glyphs.threshold_line * plot.width, ink, keep=False)
    for point in points:
        if point.low is not None and point.high is not None:
            for y in range(row(point.high), row(point.low) + 1):
                plot.put(column(point.x), y, glyphs.cursor_line, point.ink)
    for point in points:
        plot.put(column(point.x), row(point.y), glyphs.recording, point.ink)
    for point in points:
        _label(plot, point, column(point.x), row(point.y))
    marked = {row(level): axes.y_text(level) for level, _ in reversed(axes.levels)}
    lines = [Line.of(_axis(marked.get(y, ""), glyphs), *plot.row(y)) for y in range(plot.height)]
    return [*lines[: height - 1], Line.of(*_bottom(axes, plot.width))]


def _label(plot: _Plot, point: Point, x: int, y: int) -> None:
    cells = len(point.label)
    for off in LABEL_ROWS:
        # On another row it may stand above or below its point as well.
        for start in (x + 2, x - cells - 1) if off == 0 else (x, x - cells + 1):
            if plot.has_room(start, y + off, cells):
                plot.put(start, y + off, point.label, point.ink)
                return


def _axis(label: str, glyphs: Glyphs) -> Line:
    mark = glyphs.tick if label else glyphs.axis
    return Line.of(Piece(label.rjust(AXIS_CELLS - 2), Ink.MUTED), " ", Piece(mark, Ink.FAINT))


def _bottom(axes: Axes, width: int) -> list[Piece]:
    """The ends and the middle of the horizontal axis."""
    text = [" "] * width
    for share in (0.0, 0.5, 1.0):
        label = axes.x_text(share * axes.x_end)
        start = min(max(0, round(share * (width - 1)) - len(label) // 2), width - len(label))
        if start >= 0:
            text[start : start + len(label)] = label
    return [Piece(" " * AXIS_CELLS), Piece("".join(text), Ink.MUTED)]
