"""The alerts that are in force, and those that have ended."""

import time

from ....engine.protocol import Severity, TargetAlert
from ...drawing.line import Line, Piece, in_glyphs, line, muted, wrapped
from ...state.moment import Moment
from ...style.formatting import span
from ...style.inks import Ink
from ..panel import Room, Row, RowsView

NONE = "none so far: an alert needs two windows that agree, and enough requests"


def alerts_view(moment: Moment, room: Room) -> RowsView:
    """Those in force first, then the past ones, newest first."""
    alerts, in_force = moment.production.alerts, moment.production.in_force
    past = [alert for alert in alerts if not alert.active]
    ink = Ink.BAD if in_force else Ink.OK
    rows = [row for alert in (*in_force, *past) for row in _rows(alert, moment, room)]
    if not rows:
        rows = [Row(line(" ", muted(text))) for text in wrapped(NONE, room.width - 2)]
    return RowsView(
        title=line(Piece("Alerts", Ink.TITLE)),
        figures=line(Piece(f"{len(in_force)} in force", ink)),
        rows=tuple(rows),
    )


def _rows(alert: TargetAlert, moment: Moment, room: Room) -> list[Row]:
    """When and how long, and what it says."""
    began = time.strftime("%H:%M:%S", time.localtime(alert.began_wall_s))
    end_s = moment.wall_s if alert.active else alert.wall_s
    lasted = span(max(0.0, end_s - alert.began_wall_s))
    words = f"{began} {alert.severity.upper()} for {lasted}"
    if not alert.active:
        words += ", ended"
    text = in_glyphs(alert.text, room.glyphs)
    head = Piece(words, _ink(alert))
    if len(words) + len(text) + 4 <= room.width:
        return [Row(line(" ", head, "  ", text))]
    return [
        Row(line(" ", head)),
        *(Row(_below(each)) for each in wrapped(text, max(10, room.width - 4))),
    ]


def _below(text: str) -> Line:
    return line("   ", text)


def _ink(alert: TargetAlert) -> Ink:
    if not alert.active:
        return Ink.MUTED
    return Ink.BAD if alert.severity is Severity.PAGE else Ink.WARN
