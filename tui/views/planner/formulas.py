"""Every figure as a tree of formulas, and the chosen one with its numbers filled in."""

from ....engine.planner.explain.terms import Term
from ...drawing.line import EMPTY, Line, Piece, line, muted, strong, wrapped
from ...planner.formula_text import exact_text, filled_text, input_text, value_text
from ...planner.tree import Branch
from ...style.inks import Ink
from ..panel import Room, Row, RowsView
from .common import panel_title

VALUE_WIDTH = 12
DETAIL_ROWS = 9


def tree_view(rows: list[Branch], room: Room, note: str = "") -> RowsView:
    """The trees; choosing a row opens or closes it."""
    glyphs = room.glyphs
    lines = []
    for branch in rows:
        term = branch.term
        sign = " " if not term.parts else glyphs.opened if branch.opened else glyphs.closed
        text = value_text(term)
        indent = "  " * branch.depth
        width = room.width - len(indent) - len(text) - 5
        ink = Ink.STRONG if branch.depth == 0 else Ink.TEXT
        name = term.name if len(term.name) <= width else term.name[: width - 1] + glyphs.ellipsis
        dots = glyphs.dot * max(0, width - len(name) - 1)
        lines.append(
            Row(
                line(
                    f" {indent}",
                    muted(f"{sign} "),
                    Piece(name, ink),
                    Piece(f" {dots} ", Ink.RULE),
                    Piece(text, ink),
                ),
                ".".join(map(str, branch.path)),
            )
        )
    figures = line(muted("enter opens"))
    return RowsView(panel_title("Formulas", note), figures, rows=tuple(lines))


def detail_view(term: Term, room: Room) -> RowsView:
    """One term: its formula, the same with the numbers, each input, and the source."""
    width = room.width - 1
    lines: list[Line] = []
    if term.formula:
        lines += _block(f"= {term.formula}", width, Ink.TEXT)
        lines += _block(f"= {filled_text(term)}", width, Ink.ACCENT)
    elif term.parts:
        lines += _block("= " + " + ".join(part.name for part in term.parts), width, Ink.TEXT)
        lines += _block(f"= {filled_text(term)}", width, Ink.ACCENT)
    lines += _block(f"= {exact_text(term)}", width, Ink.STRONG)
    if term.inputs:
        lines.append(EMPTY)
        wide = max(map(len, term.inputs))
        lines += [
            line(" ", muted(name.ljust(wide + 2)), input_text(name, value).rjust(10))
            for name, value in term.inputs.items()
        ]
    if term.source:
        lines.append(EMPTY)
        lines += _block(f"source: {term.source}", width, Ink.MUTED)
    return RowsView(
        panel_title("Formula"), line(strong(term.name)), rows=tuple(Row(one) for one in lines)
    )


def _block(text: str, width: int, ink: Ink) -> list[Line]:
    first, *more = wrapped(text, max(10, width - 2))
    return [line(" ", Piece(first, ink)), *(line("   ", Piece(row, ink)) for row in more)]
