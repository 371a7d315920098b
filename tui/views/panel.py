"""What a panel shows: lines, rows to choose from or curves, under a title with key figures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...engine.protocol import Window
from ...engine.protocol.wording import plural
from ..drawing.chart_data import Mark, Series, Threshold
from ..drawing.line import EMPTY, Line, Piece, centred, clipped, facts, line, muted
from ..state.moment import Moment, Phase
from ..style.formatting import MISSING, percent
from ..style.glyphs import Glyphs
from ..style.inks import Ink


@dataclass(frozen=True, slots=True)
class PanelView:
    """The inked text of one panel, and whether its figures are too old to pass for current."""

    title: Line
    figures: Line = EMPTY
    lines: tuple[Line, ...] = ()
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """The cells that a panel's lines have, without its frame, and the glyphs to use."""

    width: int
    height: int
    glyphs: Glyphs

    def clipped(self, content: Line) -> Line:
        """A line cut to the width, with an ellipsis where something was cut."""
        return clipped(content, self.width, self.glyphs)

    def facts(self, parts: Sequence[Line]) -> Line:
        """As many of the facts, in order, as fit whole, with dots between them."""
        return facts(parts, self.width, self.glyphs)


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `target` is what choosing it opens; rows without one are passed over.

    `draw` makes its line when it comes into sight: of hundreds of rows few ever do.
    """

    line: Line = EMPTY
    target: str | None = None
    draw: Callable[[], Line] | None = None

    @property
    def drawn(self) -> Line:
        """The row's line."""
        return self.line if self.draw is None else self.draw()


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


@dataclass(frozen=True, slots=True)
class CurvesView:
    """Curves over places 0 … `last` of the chart's horizontal axis."""

    title: Line
    series: Sequence[Series]
    last: float
    figures: Line = EMPTY
    thresholds: Sequence[Threshold] = ()
    marks: Sequence[Mark] = ()
    noun: str = ""
    """What the places count, one of it, such as GPU."""

    def reading(self, place: str) -> Line:
        """The headline while the values of one place are read off: the place itself."""
        noun = plural(int(place), self.noun)
        return Line.of(Piece(place, Ink.STRONG), Piece(f" {noun}", Ink.MUTED))


def titled(name: str, moment: Moment) -> Line:
    """The name of a panel of the engine's figures, and their age when it must be said."""
    return aged(name, moment.stale_s)


def windowed(name: str, moment: Moment) -> Line:
    """The same for figures over the chosen window, which is named too."""
    return aged(name, moment.stale_s, moment.window)


def aged(name: str, age_s: float | None, window: Window | None = None) -> Line:
    """A panel's name, the window of its figures and their age; `None` where they are current."""
    named = line(Piece(name, Ink.TITLE), Piece(f" {window}" if window else "", Ink.MUTED))
    if age_s is None:
        return named
    age = f"{age_s:.0f} s old" if age_s >= 1 else "stale"
    return line(named, Piece(f"  {age}", Ink.WARN))


def figure(name: str, value: str, ink: Ink = Ink.STRONG) -> Line:
    """A named key figure: `TTFT p95 88 ms`."""
    return line(Piece(f"{name} ", Ink.MUTED), Piece(value, Ink.FAINT if value == MISSING else ink))


def value(text: str, ink: Ink = Ink.TEXT) -> Piece:
    """A figure in the ink of figures, or faint where it is missing."""
    return Piece(text, Ink.FAINT if text.strip() == MISSING else ink)


def starting_text(moment: Moment) -> str:
    """What a panel without figures says: what is being waited for."""
    worker = moment.worker
    if worker.phase is Phase.STARTING:
        fraction = f" {percent(worker.fraction)}" if worker.fraction is not None else ""
        return f"starting: {worker.doing}{fraction}"
    if worker.phase is Phase.DEAD:
        return f"{'no answer' if worker.watched else 'no engine'}: {worker.reason}"
    return "waiting for the first figures"


def waiting_line(moment: Moment, room: Room) -> Line:
    """The same in the middle of a panel, short where it is narrow."""
    text = starting_text(moment)
    worker = moment.worker
    if len(text) > room.width and worker.phase is Phase.STARTING:
        fraction = "" if worker.fraction is None else f" {percent(worker.fraction)}"
        text = f"starting{fraction}"
    return centred(muted(text), room.width)
