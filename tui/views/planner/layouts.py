"""Tables of layouts: the five strategies at their best, the fastest splits, the front."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ....engine.planner.cost.estimate import Estimate
from ....engine.planner.search.search import distinct
from ....engine.planner.search.strategies import STRATEGIES
from ...drawing.line import Line, Piece, clipped, faint, in_glyphs, line, muted, strong
from ...planner.evaluation import Evaluation
from ...planner.search_state import Layouts, Searched
from ...planner.units import gib, seconds
from ...style.formatting import MISSING, percent, si
from ...style.inks import Ink
from ..panel import Room, Row, RowsView
from ..table import Column, table
from .common import panel_title, verdict

YOURS = "yours"
NARROW = 50
FIGURES_WIDTH = 22
"""What a narrow table's other columns take: the name, memory, step, and the gaps."""
WAITING = Piece("searching", Ink.FAINT)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a table: its name, its estimate, what opens it, and why it cannot be used."""

    name: Line
    result: Estimate | None
    target: str | None
    reason: str | None = None
    waiting: bool = False


def strategies_view(
    evaluation: Evaluation, searched: Searched | None, room: Room, note: str = ""
) -> RowsView:
    """Each of the five strategies at its best, beside the form's own layout."""
    best_by_strategy = searched.strategies if searched is not None else {}
    entries = [Entry(line(Piece("yours", Ink.ACCENT)), evaluation.estimate, YOURS)]
    for key, strategy in STRATEGIES.items():
        candidate = best_by_strategy.get(key)
        result = candidate.estimate if candidate is not None else None
        entries.append(
            Entry(
                line(strong(strategy.name)),
                result,
                f"strategy:{key}" if result is not None else None,
                candidate.reason if candidate is not None else None,
                candidate is None,
            )
        )
    best_s = min(
        (
            each.estimate.step_s
            for each in best_by_strategy.values()
            if each.estimate is not None and each.reason is None
        ),
        default=None,
    )
    head, rows = _rows(
        "strategy", entries, evaluation.plan.limit_bytes, best_s, room, layout_rank=7
    )
    return RowsView(panel_title("Strategies", note), line(muted("each at its best")), (head,), rows)


def splits_view(
    evaluation: Evaluation, layouts: Layouts | None, room: Room, doing: str
) -> RowsView:
    """The fastest layout of each split, best first."""
    entries = [Entry(line(Piece("yours", Ink.ACCENT)), evaluation.estimate, YOURS)]
    best_s = None
    if layouts is not None:
        best_s = layouts.splits[0].step_s if layouts.splits else None
        entries += [
            Entry(line(f"{index + 1}"), layouts.splits[index], f"split:{index}")
            for index in distinct(layouts.splits)
        ]
    head, rows = _rows("", entries, evaluation.plan.limit_bytes, best_s, room)
    title = panel_title("Best layouts")
    if layouts is None:
        return RowsView(title, line(Piece(doing or "searching", Ink.MARK)), (head,), rows)
    counts = f"{layouts.fitting} of {layouts.considered} fit"
    foot: tuple[Line, ...] = ()
    if layouts.reason is not None:
        foot = (room.clipped(line(" ", Piece(layouts.reason, Ink.BAD))),)
    return RowsView(title, line(muted(counts)), (head,), rows, foot)


def front_view(evaluation: Evaluation, layouts: Layouts | None, room: Room) -> RowsView:
    """The layouts that none beats in both memory and time, leanest first."""
    title = panel_title("Memory against time")
    if layouts is None:
        return RowsView(title)
    entries = [
        Entry(line(f"{index + 1}"), result, f"front:{index}")
        for index, result in enumerate(layouts.front)
    ]
    if layouts.faster is not None:
        entries.append(Entry(line(muted("more")), layouts.faster, "faster"))
    best_s = layouts.front[-1].step_s if layouts.front else None
    head, rows = _rows("", entries, evaluation.plan.limit_bytes, best_s, room)
    return RowsView(title, line(muted("leanest first")), (head,), rows)


def _rows(
    name: str,
    entries: Sequence[Entry],
    limit: float,
    best_s: float | None,
    room: Room,
    *,
    layout_rank: int = 0,
) -> tuple[Line, tuple[Row, ...]]:
    """Rows that line up; where a layout cannot be used its reason stands in the figures' place."""
    estimates = [entry.result for entry in entries]
    short = layout_rank == 0 and room.width < NARROW

    def figure(title: str, text: Callable[[Estimate], str], rank: int) -> Column:
        return Column(title, [_cell(each, text) for each in estimates], rank=rank)

    columns = [
        Column(name, [entry.name for entry in entries], right=False),
        Column(
            "layout",
            [_layout(entry, room, short=short) for entry in entries],
            right=False,
            rank=layout_rank,
        ),
        Column("GiB", [_memory(each, limit, room) for each in estimates]),
        figure("step", lambda e: seconds(e.step_s), 0),
        Column("vs best", [_versus(each, best_s, limit) for each in estimates], rank=5),
        figure("tok/s", lambda e: si(e.tokens_s), 1),
        figure("MFU", lambda e: percent(e.mfu()), 2),
        figure("comm", lambda e: percent(e.communication_share), 4),
        figure("bubble", lambda e: percent(e.time.bubble_s / e.step_s), 8),
        figure("tok/s/GPU", lambda e: si(e.tokens_s_gpu), 9),
    ]
    head, lines = table(columns, room.width - 1)
    return line(" ", head), tuple(
        Row(_line(one, entry, room), entry.target)
        for one, entry in zip(lines, entries, strict=True)
    )


def _line(cells: Line, entry: Entry, room: Room) -> Line:
    if entry.waiting:
        return line(" ", entry.name, "  ", WAITING)
    if entry.result is None and entry.reason:
        return room.clipped(line(" ", entry.name, "  ", Piece(entry.reason, Ink.WARN)))
    return line(" ", cells)


def _layout(entry: Entry, room: Room, *, short: bool) -> Line:
    """The layout's shorthand; in a narrow table the degrees alone, cut to the room that is left."""
    if entry.result is None:
        return line(faint(MISSING))
    layout = entry.result.layout
    if not short:
        return line(in_glyphs(layout.shorthand, room.glyphs))
    degrees, _, _ = f" {layout.shorthand}".partition(" mb")
    plain = degrees.strip() or "1 GPU"
    return clipped(line(plain), max(8, room.width - FIGURES_WIDTH), room.glyphs)


def _cell(result: Estimate | None, text: Callable[[Estimate], str]) -> Line:
    return line(faint(MISSING)) if result is None else line(text(result))


def _memory(result: Estimate | None, limit: float, room: Room) -> Line:
    if result is None:
        return line(faint(MISSING))
    _, ink, sign = verdict(result.memory.total / limit, room.glyphs)
    return line(gib(result.memory.total), Piece(f" {sign}", ink))


def _versus(result: Estimate | None, best_s: float | None, limit: float) -> Line:
    """How much longer than the fastest that fits."""
    if result is None or best_s is None:
        return line(faint(MISSING))
    if result.memory.total > limit:
        return line(Piece("too big", Ink.BAD))
    share = result.step_s / best_s - 1
    return line(Piece("best", Ink.OK)) if abs(share) < 5e-4 else line(f"{share * 100:+.0f} %")
