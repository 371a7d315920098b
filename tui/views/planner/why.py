"""Why the fastest layout wins, and what would make the runner-up win."""

from ....engine.planner.explain.break_even import BreakEven
from ....engine.planner.explain.verdict import Difference, Verdict
from ...drawing.line import Line, Piece, in_glyphs, line, muted, strong, wrapped
from ...planner.search_state import Layouts
from ...planner.units import gib, seconds
from ...style.formatting import si
from ...style.inks import Ink
from ..panel import Room, Row, RowsView
from .common import panel_title

MOST_PARTS = 4


def why_view(layouts: Layouts | None, room: Room) -> RowsView:
    """The winner against the runner-up: the parts that differ most, and the turning points."""
    title = panel_title("Why the winner wins")
    verdict = layouts.verdict if layouts is not None else None
    if verdict is None:
        reason = layouts.reason if layouts is not None else None
        words = reason or ("nothing to compare with" if layouts is not None else "searching")
        rows = [Row(line(" ", muted(row))) for row in wrapped(words, room.width - 2)]
        return RowsView(title, rows=tuple(rows))
    lines = [
        *_against(verdict, room),
        *(_part(each, f"{seconds(abs(each.difference))}") for each in _telling(verdict)),
        *(_part(each, f"{gib(abs(each.difference))} GiB") for each in verdict.memory[:2]),
        *_break_evens(verdict, room),
    ]
    return RowsView(title, rows=tuple(Row(room.clipped(each)) for each in lines))


def _against(verdict: Verdict, room: Room) -> list[Line]:
    """Both layouts with their steps, on as few lines as they fit."""
    winner, other = verdict.winner, verdict.runner_up
    share = (other.step_s - winner.step_s) / other.step_s
    parts = [
        line(" ", strong(in_glyphs(winner.layout.shorthand, room.glyphs))),
        line(
            muted(" takes "),
            strong(seconds(winner.step_s)),
            muted(f", {share * 100:.1f} % less than"),
        ),
        line(" ", in_glyphs(other.layout.shorthand, room.glyphs)),
        line(muted(" with "), seconds(other.step_s), muted(" a step:")),
    ]
    rows: list[Line] = []
    for part in parts:
        if rows and rows[-1].width + part.width <= room.width:
            rows[-1] = line(rows[-1], part)
        else:
            rows.append(part)
    return rows


def _part(part: Difference, text: str) -> Line:
    """One part: `− 120 ms data-parallel communication`, from the winner's side."""
    better = part.difference > 0
    sign, ink = ("less", Ink.OK) if better else ("more", Ink.WARN)
    return line("   ", Piece(f"{text:>9} {sign} ", ink), muted(part.name))


def _telling(verdict: Verdict) -> list[Difference]:
    """The parts of the step that differ by more than a thousandth of it."""
    least_s = verdict.winner.step_s / 1000
    return [
        difference
        for difference in verdict.time[:MOST_PARTS]
        if abs(difference.difference) >= least_s
    ]


def _break_evens(verdict: Verdict, room: Room) -> list[Line]:
    if not verdict.break_evens:
        return [line(muted(" no memory limit, bandwidth or batch nearby would turn it"))]
    lines = [line(muted(" the runner-up wins with"))]
    lines += [
        line("   ", Piece(row, Ink.TEXT))
        for point in verdict.break_evens
        for row in wrapped(break_even_text(point), room.width - 4)
    ]
    return lines


def break_even_text(point: BreakEven) -> str:
    """Where the verdict turns, and its step there: `a network of 12.5 GB/s (now 50.0), 3.20 s`."""
    step = seconds(point.runner_up_s)
    match point.knob:
        case "memory":
            return f"less than {gib(point.value)} GiB (now {gib(point.now)}), {step}"
        case "batch":
            return f"a batch of {point.value:.0f} (now {point.now:.0f}), {step}"
        case "network":
            name = "a network"
        case "link":
            name = "links in the node"
    return f"{name} of {si(point.value / 1e9)} GB/s (now {si(point.now / 1e9)}), {step}"
