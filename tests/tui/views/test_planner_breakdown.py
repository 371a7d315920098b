"""Memory and step as bars: rows have the sign and ink of their segment, and add up to it."""

from collections.abc import Callable

import pytest
from planner_cases import evaluated
from prodtop.tui.drawing.line import Line
from prodtop.tui.drawing.meter import Part, part_key
from prodtop.tui.planner.evaluation import Evaluation
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.style.inks import PART_INKS
from prodtop.tui.views.panel import Room, RowsView
from prodtop.tui.views.planner.breakdown import memory_parts, memory_view, step_parts, step_view

PLANS = (
    evaluated(),
    evaluated(model="generic-70b", tp="8", pp="2", batch="128", zero="3", recompute="selective"),
    evaluated(model="gpt-oss-120b", gpus="2048", tp="8", pp="4", ep="8", batch="8192"),
)
View = Callable[[Evaluation, Room], RowsView]


def parts_of(view: View, evaluation: Evaluation) -> tuple[Part, ...]:
    return (memory_parts if view is memory_view else step_parts)(evaluation.estimate)


def key_of(line: Line) -> tuple[str, str]:
    """The sign before a row's name, and its ink."""
    piece = line.pieces[1]
    return piece.text, piece.ink


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.plan.model.name)
@pytest.mark.parametrize("view", [memory_view, step_view])
def test_rows_and_segments_share_sign_and_ink(view: View, plan: Evaluation, glyphs: Glyphs) -> None:
    bar, *rows = [row.line for row in view(plan, Room(90, 40, glyphs)).rows]
    segments = {(piece.text[0], piece.ink) for piece in bar.pieces if piece.ink in PART_INKS}
    assert {key_of(row) for row in rows} == segments
    for row in rows:
        bars = [piece for piece in row.pieces[2:] if piece.ink in PART_INKS]
        assert {piece.ink for piece in bars} == {key_of(row)[1]}


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.plan.model.name)
@pytest.mark.parametrize("view", [memory_view, step_view])
def test_the_rows_of_a_segment_add_up_to_it(view: View, plan: Evaluation) -> None:
    rows = [row.line for row in view(plan, Room(90, 40, UNICODE)).rows][1:]
    parts = parts_of(view, plan)
    whole = sum(part.amount for part in parts)
    for part in parts:
        key = part_key(part.style or 0, UNICODE)
        shares = [
            float(row.plain.removesuffix("%").split()[-1])
            for row in rows
            if key_of(row) == (key.text, key.ink)
        ]
        assert sum(shares) == pytest.approx(100 * part.amount / whole, abs=0.6 * (len(shares) + 1))
