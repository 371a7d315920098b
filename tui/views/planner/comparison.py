"""The comparison's lines as a panel that scrolls."""

from collections.abc import Sequence

from ...drawing.line import Piece, in_glyphs, line, muted, strong
from ...style.inks import Ink
from ..panel import Room, Row, RowsView
from .common import panel_title


def comparison_view(lines: Sequence[str] | None, room: Room, note: str = "") -> RowsView:
    """Every line can be gone to; a title is the line between two that are empty."""
    title = panel_title("Strategies, scenarios and GPU types", note)
    if lines is None:
        return RowsView(title, line(Piece("comparing", Ink.MARK)))
    rows = []
    for place, text in enumerate(lines[1:]):
        heads = not (lines[place] or "".join(lines[place + 2 : place + 3]))
        shown = in_glyphs(text, room.glyphs)
        one = line(" ", strong(shown) if heads else shown)
        rows.append(Row(room.clipped(one), str(place)))
    return RowsView(title, line(muted("prodtop plan compare writes files")), rows=tuple(rows))
