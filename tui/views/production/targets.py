"""The table of targets: what is asked for, what was measured, and how the budget stands."""

from ....engine.protocol import Severity, TargetFigure, TargetStanding
from ....engine.targets.words import (
    TITLES,
    figure_text,
    limit_text,
    span_text,
)
from ...drawing.line import Line, Piece, line, muted
from ...state.moment import Moment
from ...style.formatting import MISSING, clip, count, percent
from ...style.glyphs import Glyphs
from ...style.inks import Ink
from ..panel import Room, Row, RowsView, value, waiting_line
from ..table import Column, table

LEAST_STATE, TABLE_CELLS = 16, 62
"""Cells that a note has at least, and what the most needed other columns take."""
NOT_WATCHED = "no targets are told: this is of an older prodtop, or nothing has been measured yet"


def light(figure: TargetFigure, glyphs: Glyphs) -> Piece:
    """One sign for how a target stands, which needs no colour: met, missed, burning, unknown."""
    if figure.alert is Severity.PAGE:
        return Piece("!", Ink.BAD)
    if figure.standing is TargetStanding.MET:
        ink = Ink.WARN if figure.alert else Ink.OK
        return Piece(glyphs.check, ink)
    if figure.standing is TargetStanding.MISSED:
        return Piece(glyphs.cross, Ink.BAD if figure.alert else Ink.WARN)
    return Piece(glyphs.dot, Ink.FAINT)


def targets_view(moment: Moment, room: Room) -> RowsView:
    """A row for each target; what was not measured says what measures it."""
    title = line(Piece("Targets", Ink.TITLE))
    sample = moment.production.sample
    if sample is None:
        words = (
            waiting_line(moment, room) if moment.frame is None else line(" ", muted(NOT_WATCHED))
        )
        return RowsView(title, rows=(Row(room.clipped(words)),))
    figures = sample.targets
    head, rows = table(_columns(figures, room), room.width - 1)
    return RowsView(
        title,
        figures=_summary(figures),
        head=(room.clipped(line(" ", head)),),
        rows=tuple(Row(room.clipped(line(" ", row))) for row in rows),
    )


def _summary(figures: list[TargetFigure]) -> Line:
    """`5 met  2 missed  2 unknown`."""
    said: list[Line] = []
    for standing, ink in (
        (TargetStanding.MET, Ink.OK),
        (TargetStanding.MISSED, Ink.WARN),
        (TargetStanding.UNKNOWN, Ink.FAINT),
    ):
        number = sum(each.standing is standing for each in figures)
        if number:
            said.append(line("  " if said else "", Piece(f"{number} {standing}", ink)))
    return line(*said)


def _columns(figures: list[TargetFigure], room: Room) -> list[Column]:
    """The least needed go first where there is no room: rank 0 stays."""
    glyphs = room.glyphs
    columns = [
        Column("", [light(each, glyphs) for each in figures], right=False),
        Column("target", [TITLES[each.name] for each in figures], right=False),
        Column("measured", [_measured(each) for each in figures]),
        Column("asked for", [muted(limit_text(each.name, each.limit)) for each in figures], rank=1),
        Column("over", [muted(_window(each)) for each in figures], rank=5),
        Column("n", [muted(_samples(each)) for each in figures], rank=6),
        Column("budget left", [_budget(each) for each in figures], rank=2),
    ]
    rules = max((len(each.burns) for each in figures), default=0)
    for rule in range(rules):
        windows = next(each.burns[rule] for each in figures if len(each.burns) > rule)
        burning = f"burn {span_text(windows.long_s)}/{span_text(windows.short_s)}"
        cells = [_burn(each, rule, glyphs) for each in figures]
        columns.append(Column(burning, cells, rank=7 + rule))
    columns.append(Column("state", [_state(each, room) for each in figures], right=False, rank=3))
    return columns


def _measured(figure: TargetFigure) -> Piece:
    if figure.value is None:
        return value(MISSING)
    ink = Ink.WARN if figure.standing is TargetStanding.MISSED else Ink.STRONG
    return Piece(figure_text(figure.name, figure.value), ink)


def _window(figure: TargetFigure) -> str:
    return "all kept" if figure.window_s is None else span_text(figure.window_s)


def _samples(figure: TargetFigure) -> str:
    return count(figure.samples) if figure.samples else MISSING


def _budget(figure: TargetFigure) -> Piece:
    left = figure.budget_left
    if left is None:
        return value(MISSING)
    ink = Ink.BAD if left <= 0 else Ink.TEXT
    return value("spent" if left <= 0 else percent(left), ink)


def _burn(figure: TargetFigure, rule: int, glyphs: Glyphs) -> Line:
    """The rates over both windows; in the colour of an alert where both reach the factor."""
    if len(figure.burns) <= rule:
        return line(value(MISSING))
    burn = figure.burns[rule]
    rates = [
        MISSING if each is None else f"{each:.3g}{glyphs.times}" for each in (burn.long, burn.short)
    ]
    over = [each is not None and each >= burn.factor for each in (burn.long, burn.short)]
    return line(value("/".join(rates), Ink.BAD if all(over) else Ink.TEXT))


def _state(figure: TargetFigure, room: Room) -> Line:
    """The alert in force, or the standing; of one that is not known, why."""
    note = clip(
        figure.note, max(LEAST_STATE, room.width - TABLE_CELLS), ellipsis=room.glyphs.ellipsis
    )
    if figure.alert is not None:
        words = line(Piece(figure.alert.upper(), Ink.BAD))
    elif figure.standing is TargetStanding.UNKNOWN:
        return line(muted(note))
    else:
        met = figure.standing is TargetStanding.MET
        words = line(Piece(figure.standing, Ink.OK if met else Ink.WARN))
    return line(words, muted(f", {note}")) if note else words
