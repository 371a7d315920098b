"""A list to pick from as lines: the filter, the headings, and the choices around the cursor."""

from collections.abc import Sequence

from ...drawing.line import EMPTY, Line, Piece, clipped, in_glyphs, line, muted, strong
from ...planner.picker import Choice, Picker
from ...style.inks import Ink
from ..panel import Room
from ..table import Column, table

HEAD_ROWS = 3


def picker_lines(picker: Picker, room: Room) -> list[Line]:
    """As many lines as the room is high."""
    caret = Piece(" ", Ink.SELECTED)
    hint = muted(" type to filter") if not picker.query else EMPTY
    rows_left = max(1, room.height - HEAD_ROWS)
    matching = picker.matching
    top = min(max(0, picker.cursor - rows_left // 2), max(0, len(matching) - rows_left))
    shown = matching[top : top + rows_left]
    head, rows = table(_columns(picker, shown, room), room.width - 2)
    body = [_row(picker, top + index, row, room) for index, row in enumerate(rows)]
    whole = [line(" ", strong(picker.query), caret, hint), EMPTY, line("  ", head), *body]
    return [clipped(one, room.width, room.glyphs) for one in whole]


def _row(picker: Picker, index: int, row: Line, room: Room) -> Line:
    if index != picker.cursor:
        return line("  ", row)
    plain = row.plain.ljust(room.width - 2)
    return line(Piece(room.glyphs.pointer, Ink.ACCENT), Piece(f" {plain}", Ink.SELECTED))


def _columns(picker: Picker, shown: Sequence[Choice], room: Room) -> list[Column]:
    """The names as they are, and the facts; a single fact is a remark in the first column."""
    columns = [Column(picker.headings[0], [strong(one.name) for one in shown], right=False)]
    for place, heading in enumerate(picker.headings[1:]):
        cells = [one.facts[place] if place < len(one.facts) else "" for one in shown]
        texts = [in_glyphs(cell, room.glyphs) for cell in cells]
        title = in_glyphs(heading, room.glyphs)
        columns.append(Column(title, texts, rank=place, right=place > 0 or len(shown) > 1))
    return columns
