"""The decision path with the plan's numbers at every node, and the strategy guide."""

from ....engine.planner.search.strategies import STRATEGIES
from ...drawing.line import EMPTY, Line, Piece, in_glyphs, line, muted, strong, wrapped
from ...planner.decision import decide
from ...planner.evaluation import Evaluation
from ...style.inks import Ink
from ..panel import Room, Row, RowsView
from .common import panel_title

NARROWEST_TABLE = 50
"""Cells for the wordy columns of the guide below which each strategy is a block of its own."""
INDENT = " " * 7
"""Before what belongs to a question: under its first word."""


def decision_view(evaluation: Evaluation, room: Room, note: str = "") -> RowsView:
    """Questions from the top, each with its answer, its numbers and where it leads."""
    decision = decide(evaluation)
    lines: list[Line] = []
    for number, step in enumerate(decision.steps, start=1):
        answer = Piece("yes ", Ink.OK) if step.yes else Piece("no  ", Ink.WARN)
        question, *more = wrapped(step.question, room.width - 7)
        lines.append(line(muted(f" {number} "), answer, strong(question)))
        lines += [line(" " * 7, strong(row)) for row in more]
        numbers = in_glyphs(step.numbers, room.glyphs)
        lines += [line(INDENT, row) for row in wrapped(numbers, room.width - len(INDENT))]
        leads_to = f"{room.glyphs.arrow_right} {step.leads_to}"
        lines += [line(INDENT, muted(row)) for row in wrapped(leads_to, room.width - len(INDENT))]
        if room.height >= 4 * len(decision.steps) + 2:
            lines.append(EMPTY)
    arrow = f" {room.glyphs.arrow_right}".ljust(len(INDENT))
    lines.append(line(muted(arrow), Piece(decision.strategy, Ink.ACCENT)))
    lines += [line(INDENT, row) for row in wrapped(decision.reason, room.width - len(INDENT))]
    figures = line(Piece(decision.strategy, Ink.ACCENT))
    rows = tuple(Row(one) for one in lines)
    return RowsView(panel_title("Decision path", note), figures, rows=rows)


def guide_view(room: Room) -> RowsView:
    """What each strategy saves, costs and is good for; a block for each where it is narrow."""
    entries = [
        (
            strategy.name,
            strategy.memory_efficiency,
            strategy.communication,
            strategy.complexity,
            strategy.good_for,
        )
        for strategy in STRATEGIES.values()
    ]
    titles = ("strategy", "memory", "communication", "complexity", "good for")
    name_width = max(len(entry[0]) for entry in entries) + 2
    complexity_width = max(len("complexity"), *(len(entry[3]) for entry in entries)) + 2
    rest = room.width - 1 - name_width - complexity_width
    if rest < NARROWEST_TABLE:
        return RowsView(panel_title("Strategy guide"), rows=tuple(_blocks(entries, titles, room)))
    memory, talk = rest * 25 // 100, rest * 37 // 100
    widths = (name_width, memory, talk, complexity_width, rest - memory - talk)
    head = line(
        " ", *(muted(title.ljust(width)) for title, width in zip(titles, widths, strict=True))
    )
    rows: list[Row] = []
    for entry in entries:
        cells = [wrapped(text, width - 2) for text, width in zip(entry, widths, strict=True)]
        for index in range(max(map(len, cells))):
            texts = [cell[index] if index < len(cell) else "" for cell in cells]
            pieces = [
                Piece(text.ljust(width), Ink.STRONG if column == 0 else Ink.TEXT)
                for column, (text, width) in enumerate(zip(texts, widths, strict=True))
            ]
            rows.append(Row(line(" ", *pieces)))
    return RowsView(panel_title("Strategy guide"), head=(head,), rows=tuple(rows))


def _blocks(
    entries: list[tuple[str, str, str, str, str]], titles: tuple[str, ...], room: Room
) -> list[Row]:
    rows: list[Row] = []
    for name, *words in entries:
        rows.append(Row(line(" ", strong(name))))
        for title, text in zip(titles[1:], words, strict=True):
            head, *more = wrapped(text, max(8, room.width - 17))
            rows.append(Row(line(muted(f"   {title:<14}"), head)))
            rows += [Row(line(" " * 17, row)) for row in more]
    return rows
