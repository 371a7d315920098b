"""The checklist for production: each item with its mark, what was measured, and what proves it."""

from collections.abc import Mapping

from ....engine.readiness.items import ABOUT, Item
from ....engine.readiness.judging import Mark, Standing, age_text, is_ready, summary
from ...drawing.line import Line, Piece, ends, in_glyphs, line, muted, wrapped
from ...state.moment import Moment
from ...state.readiness import Readiness
from ...style.formatting import MISSING
from ...style.glyphs import Glyphs
from ...style.inks import Ink
from ..panel import Room, Row, RowsView, waiting_line

INDENT = 3
WIDE_FROM = 100
"""Cells from which an item that holds takes one row."""
INKS = {
    Mark.HOLDS: Ink.OK,
    Mark.MISSING: Ink.FAINT,
    Mark.OLD: Ink.WARN,
    Mark.OTHER: Ink.WARN,
    Mark.FAILED: Ink.BAD,
}


def readiness_view(
    readiness: Readiness, moment: Moment, now_wall_s: float, room: Room, keys: Mapping[Item, str]
) -> RowsView:
    """Every item as it stands at a time (Unix, s); `keys` are those that prove items here."""
    title = line(Piece("Readiness", Ink.TITLE))
    standings = readiness.standings(now_wall_s)
    if not standings:
        return RowsView(title, rows=(Row(room.clipped(waiting_line(moment, room))),))
    ready = is_ready(standings)
    foot = [] if readiness.problem is None else wrapped(readiness.problem, room.width - 2)
    return RowsView(
        title,
        figures=line(Piece(summary(standings), Ink.OK if ready else Ink.WARN)),
        rows=tuple(Row(each) for item in standings for each in _rows(item, room, keys)),
        foot=tuple(line(" ", Piece(each, Ink.WARN)) for each in foot[:2]),
    )


def _rows(standing: Standing, room: Room, keys: Mapping[Item, str]) -> list[Line]:
    """Its title with the age of its proof; what was measured; and where it is open, what is wrong
    and what proves it."""
    glyphs, about = room.glyphs, ABOUT[standing.item]
    age = MISSING if standing.age_s is None else age_text(standing.age_s)
    name = line(" ", _sign(standing.mark, glyphs), " ", about.title)
    said = standing.measure
    if standing.holds and room.width >= WIDE_FROM:
        padded = line(name, " " * max(1, 29 - name.width), muted(in_glyphs(said or "", glyphs)))
        return [ends(room.clipped(padded), line(muted(f"{age} ")), room.width)]
    rows = [ends(name, line(muted(f"{age} ")), room.width)]
    if said is not None:
        rows += _below(said, room, Ink.MUTED)
    if standing.holds:
        return rows
    key = keys.get(standing.item)
    how = f"→ {about.command}" if key is None else f"→ {key} here, or {about.command}"
    why, ink = in_glyphs("; ".join(standing.reasons), glyphs), INKS[standing.mark]
    together = line(" " * INDENT, Piece(why, ink), " ", Piece(in_glyphs(how, glyphs), Ink.ACCENT))
    if together.width < room.width:
        return [*rows, together]
    return [*rows, *_below(why, room, ink), *_below(how, room, Ink.ACCENT)]


def _below(text: str, room: Room, ink: Ink) -> list[Line]:
    shown = wrapped(in_glyphs(text, room.glyphs), max(10, room.width - INDENT - 1))
    return [line(" " * INDENT, Piece(each, ink)) for each in shown]


def _sign(mark: Mark, glyphs: Glyphs) -> Piece:
    """It needs no colour: a check, a cross, or a dot where nothing was measured."""
    if mark is Mark.HOLDS:
        return Piece(glyphs.check, INKS[mark])
    return Piece(glyphs.dot if mark is Mark.MISSING else glyphs.cross, INKS[mark])
