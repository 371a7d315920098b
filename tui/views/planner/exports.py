"""The layout as configuration files: which engines take it, and the text of the chosen one."""

from collections.abc import Sequence

from ...drawing.line import EMPTY, Line, Piece, clipped, line, muted, strong, wrapped
from ...planner.exports import Attempt
from ...style.inks import Ink
from ..panel import Room, Row, RowsView
from .common import panel_title


def engines_view(attempts: Sequence[Attempt], room: Room, note: str = "") -> RowsView:
    """Every engine, and why it cannot be told the layout where it cannot."""
    glyphs = room.glyphs
    width = max(len(attempt.engine) for attempt in attempts) + 2
    rows = []
    for attempt in attempts:
        name = attempt.engine.ljust(width)
        if attempt.result is None:
            text = line(" ", Piece(f"{glyphs.cross} ", Ink.BAD), muted(name), attempt.reason or "")
        else:
            text = line(
                " ",
                Piece(f"{glyphs.check} ", Ink.OK),
                strong(name),
                muted(f"{attempt.result.version}, {attempt.result.file_name}"),
            )
        rows.append(Row(clipped(text, room.width, glyphs), attempt.engine))
    ready = sum(attempt.result is not None for attempt in attempts)
    figures = line(muted(f"{ready} of {len(attempts)} take this layout"))
    return RowsView(panel_title("Export", note), figures, rows=tuple(rows))


def export_view(attempt: Attempt, save_key: str, room: Room) -> RowsView:
    """The chosen engine's file, its launch line and what the file cannot say."""
    title = panel_title(attempt.engine)
    width = room.width - 2
    if attempt.result is None:
        reason = wrapped(attempt.reason or "", width)
        return RowsView(title, rows=tuple(Row(line(" ", Piece(row, Ink.WARN))) for row in reason))
    result = attempt.result
    lines: list[Line] = [line(muted(" starts with"))]
    lines += [line(" ", Piece(row, Ink.ACCENT)) for row in wrapped(result.launch, width)]
    for text in result.notes:
        first, *more = wrapped(text, width - 2)
        lines.append(line(muted(f" {room.glyphs.bullet} "), first))
        lines += [line("   ", row) for row in more]
    lines.append(EMPTY)
    lines += [_code(text, room) for text in result.text.splitlines()]
    figures = line(strong(result.file_name), muted(f"  {save_key} saves it") if save_key else "")
    # Every line can be gone to, so that a long file scrolls.
    rows = tuple(Row(one, str(index)) for index, one in enumerate(lines))
    return RowsView(title, figures, rows=rows)


def _code(text: str, room: Room) -> Line:
    ink = Ink.MUTED if text.lstrip().startswith("#") else Ink.TEXT
    return room.clipped(line(" ", Piece(text.expandtabs(4), ink)))
