"""The chosen field in words: what it is, which values it takes, and what it begins with."""

from ....engine.planner.question.option import Line as Field
from ...drawing.line import Line, Piece, facts, in_glyphs, line, muted, strong, wrapped
from ...planner.form import Form
from ...planner.picker import PICKED
from ...style.inks import Ink
from ..panel import Room

NAME_WIDTH = 12
TURNED, TYPED, PICK = "left and right turn it", "digits type over it", "enter opens the list"


def field_hint(form: Form, room: Room) -> Line:
    """In one line, as much of it as fits."""
    field = form.line
    what = line(strong(field.label), muted(f": {field.hint}"))
    parts = [what, *(line(muted(text)) for text in _more(field))]
    fitting = facts(parts, room.width - 1, room.glyphs)
    return room.clipped(line(" ", fitting if fitting.pieces else what))


def field_about(form: Form, room: Room) -> list[Line]:
    """All of it, for the help."""
    field = form.line
    ways = [TURNED, PICK if form.key in PICKED else TYPED if field.numeric else "enter types"]
    entries = [
        ("is", field.hint),
        ("takes", _limits(field)),
        ("begins with", field.first),
        ("keys", ", ".join(ways)),
    ]
    lines = [line(Piece(f"The field at hand: {field.label}", Ink.TITLE))]
    for name, text in entries:
        rows = wrapped(in_glyphs(text, room.glyphs), room.width - NAME_WIDTH - 3) if text else []
        for index, row in enumerate(rows):
            label = name if index == 0 else ""
            lines.append(line(muted(f"  {label}".ljust(NAME_WIDTH + 2)), " ", row))
    return lines


def _more(field: Field) -> list[str]:
    return [text for text in (f"default {field.first}", _limits(field)) if text]


def _limits(field: Field) -> str:
    """The values it takes, with their unit."""
    return f"{field.limits} {field.unit}".strip() if field.limits else ""
