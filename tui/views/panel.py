"""What any panel shows: a title, key figures beside it, and lines."""

from dataclasses import dataclass

from ...engine.protocol import Window
from ..state.moment import Moment, Phase
from ..style.formatting import MISSING, percent
from ..style.glyphs import Glyphs
from ..style.look import Ink
from .line import EMPTY, Line, Piece, centred, line, muted


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
        return f"no engine: {worker.reason}"
    return "waiting for the first figures"


def waiting_line(moment: Moment, room: Room) -> Line:
    """The same in the middle of a panel, short where it is narrow."""
    text = starting_text(moment)
    worker = moment.worker
    if len(text) > room.width and worker.phase is Phase.STARTING:
        fraction = "" if worker.fraction is None else f" {percent(worker.fraction)}"
        text = f"starting{fraction}"
    return centred(muted(text), room.width)
