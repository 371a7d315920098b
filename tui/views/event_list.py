"""The list of everything that happened: when, of what kind, and what."""

import time
from collections.abc import Sequence

from ..drawing.line import Line, Piece, in_glyphs, line, muted
from ..state.stops import Stop
from ..style.glyphs import Glyphs
from ..style.inks import Ink
from .events import INKS

KIND_CELLS = 8
_DAY_S = 86_400.0


def event_rows(
    stops: Sequence[Stop], chosen: int, rows: int, width: int, glyphs: Glyphs
) -> list[Line]:
    """As many as fit around the chosen one, the newest first: `stops` are in that order. A click
    on one goes there."""
    if not stops:
        return [line(muted(" nothing like it"))]
    first = min(max(0, chosen - rows // 2), max(0, len(stops) - rows))
    dated = stops[0].wall_s - stops[-1].wall_s > _DAY_S / 2
    shown = enumerate(stops[first : first + rows], first)
    return [
        _row(stop, place, place == chosen, dated, glyphs).fitted(width) for place, stop in shown
    ]


def _row(stop: Stop, place: int, chosen: bool, dated: bool, glyphs: Glyphs) -> Line:
    clock = time.localtime(stop.wall_s + stop.clock_shift_s)
    when = time.strftime("%d %b %H:%M:%S" if dated else "%H:%M:%S", clock)
    ink = INKS.get(stop.kind, Ink.MUTED)
    pointer = f" {glyphs.pointer} " if chosen else "   "
    pieces = (
        Piece(pointer, Ink.ACCENT),
        Piece(f"{when}  ", Ink.STRONG if chosen else Ink.FAINT),
        Piece(stop.kind.ljust(KIND_CELLS), ink),
        Piece(in_glyphs(stop.text, glyphs), Ink.STRONG if chosen else Ink.TEXT),
    )
    return line(*(piece._replace(click=f"screen.take({place})") for piece in pieces))
