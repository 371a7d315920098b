"""The cost and capacity panels in every situation: what they say, and within their room."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from cost_samples import PRICED, curve, moment, starting, swept
from frames import frame
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.compare.sweep import SweepProgress
from prodtop.engine.protocol import LoadSpec
from prodtop.tui.state.billing import NO_BILLING, Billing
from prodtop.tui.state.capacity import capacity
from prodtop.tui.state.compare import Compare
from prodtop.tui.state.cost import costing
from prodtop.tui.state.moment import Moment
from prodtop.tui.state.stage import Stage
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.views.panel import Room, RowsView
from prodtop.tui.views.production.capacity import capacity_view, curve_view
from prodtop.tui.views.production.cost import cells_view, cost_view, what_ifs_view

PROGRESS = SweepProgress(
    cell="hybrid bf16 16 users", warming_up=False, repeat=2, done_cells=1, cells=5, left_s=75.0
)
MEASURING = Compare(Stage.RUNNING, None, PROGRESS)
OVER = replace(PRICED, cost=msgspec.structs.replace(PRICED.cost, budget_usd_per_hour=1.0))
SITUATIONS = {
    "starting": starting(),
    "no price": moment(NO_BILLING),
    "priced": moment(),
    "swept": moment(cells=swept()),
    "other load": moment(cells=swept(LoadSpec(users=3))),
    "all": moment(cells=swept(), loads=curve()),
    "over budget": moment(OVER),
    "older": moment(shown=frame().__class__(**{**msgspec.structs.asdict(frame()), "usage": {}})),
    "measuring": replace(moment(), load_curve=MEASURING),
    "a CPU": moment(
        NO_BILLING, shown=msgspec.structs.replace(frame(), device="cpu", device_name="a processor")
    ),
}
VIEWS: dict[str, Callable[[Moment, Room], RowsView]] = {
    "cost": lambda at, room: cost_view(costing(at, "b"), at, room),
    "cells": lambda at, room: cells_view(costing(at, "b"), at, room, "b"),
    "what ifs": lambda at, room: what_ifs_view(costing(at, "b"), at, room),
    "capacity": lambda at, room: capacity_view(capacity(at), at, room, "b"),
    "curve": lambda at, room: curve_view(at, room, "b"),
}


def text(name: str, situation: str, width: int = 58, glyphs: Glyphs = UNICODE) -> str:
    found = VIEWS[name](SITUATIONS[situation], Room(width, 20, glyphs))
    lines = [found.title, found.figures, *found.head, *(row.line for row in found.rows)]
    return "\n".join(line.plain for line in (*lines, *found.foot))


@settings(max_examples=60)
@given(
    name=st.sampled_from(list(VIEWS)),
    situation=st.sampled_from(list(SITUATIONS)),
    width=st.integers(38, 160),
    glyphs=st.sampled_from([UNICODE, ASCII]),
)
def test_no_line_is_wider_than_its_room_nor_beyond_its_glyphs(
    name: str, situation: str, width: int, glyphs: Glyphs
) -> None:
    found = VIEWS[name](SITUATIONS[situation], Room(width, 20, glyphs))
    lines = [*found.head, *(row.line for row in found.rows), *found.foot]
    assert all(line.width <= width for line in lines), [line.plain for line in lines]
    if not glyphs.unicode:
        assert all(line.plain.isascii() for line in lines)


@pytest.mark.parametrize(
    ("name", "situation", "words"),
    [
        ("cost", "starting", "starting"),
        ("cost", "no price", "list price: RunPod, H200"),
        ("cost", "a CPU", "no price: cost.usd_per_hour in config.toml sets one"),
        ("cost", "priced", "$2.10/h  as set"),
        ("cost", "priced", "within budget: $3.67/h of a budget of $4.00/h"),
        ("cost", "over budget", "over budget: $3.67/h of a budget of $1.00/h"),
        ("cost", "older", "of an older prodtop"),
        ("cells", "priced", "not measured: b in Compare measures them"),
        ("cells", "other load", "measured under another load: b in Compare"),
        ("what ifs", "priced", "not measured: b in Compare does"),
        ("what ifs", "no price", "cost.spot_usd_per_hour is not set"),
        ("what ifs", "swept", "each of 180 s"),
        ("capacity", "no price", "no target: capacity.requests_per_s"),
        ("capacity", "priced", "load curve: not measured; b measures it"),
        ("capacity", "all", "target 120 req/s"),
        ("capacity", "all", "knee at 32 users"),
        ("capacity", "all", "Little's law says ×3.29"),
        ("capacity", "measuring", "1/5, 1m15s left"),
        ("curve", "priced", "b measures it; the live load waits"),
        ("curve", "all", "32 users 28.8"),
        ("curve", "all", "taken knee"),
        ("curve", "measuring", "1/5, 1m15s left"),
        ("curve", "measuring", "being measured"),
        ("capacity", "measuring", "load curve: being measured"),
    ],
)
def test_a_situation_is_told_in_its_words(name: str, situation: str, words: str) -> None:
    told = " ".join(text(name, situation, width=110).split())
    assert " ".join(words.split()) in told


def test_every_figure_of_the_window_is_told() -> None:
    told = text("cost", "priced")
    for figure in ("$0.0611", "$0.0350", "$0.00129", "$0.0168", "$0.0398", "18.6 kJ", "8.21 J"):
        assert figure in told, told


def test_without_a_price_no_figure_in_dollars_is_told() -> None:
    told = text("cost", "a CPU") + text("cells", "a CPU") + text("what ifs", "a CPU")
    assert "$0" not in told
    assert "18.6 kJ" in told


def test_the_cells_have_a_place_for_each_and_a_mark_at_what_is_served() -> None:
    rows = text("cells", "swept").splitlines()
    hybrid = next(row for row in rows if "hybrid" in row)
    assert UNICODE.bullet in hybrid
    assert hybrid.rstrip().endswith("--")
    assert sum(UNICODE.check in row for row in rows) == 2, "the cheapest, and what says so"
    single = next(row for row in rows if "single" in row)
    # 8 s at 2.10 dollars an hour and the other prices, over 64 requests.
    assert "$0.0000" in single


def test_gpus_are_told_with_what_they_cost() -> None:
    told = text("capacity", "all")
    assert "$10.50" in told
    lower = text("capacity", "all").splitlines()
    assert any("load curve" in row and "28.8 req/s" in row and " 5 " in row for row in lower)


def test_prices_that_are_given_leave_nothing_to_set() -> None:
    assert "config.toml" not in text("cost", "priced")
    assert Billing() == NO_BILLING
