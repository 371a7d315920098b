"""The planner's panels: whatever the room, no line is wider, and figures stay in their columns."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planner_cases import evaluated, searched
from prodtop.engine.planner.question.question import ReferenceData, reference_data
from prodtop.tui.drawing.line import EMPTY, Line
from prodtop.tui.planner.capacity import capacity_matrix, serve_on
from prodtop.tui.planner.exports import attempts
from prodtop.tui.planner.form import Form
from prodtop.tui.planner.tree import branches, every_figure
from prodtop.tui.settings.keymap import DEFAULT_KEYMAP
from prodtop.tui.state.moment import Moment
from prodtop.tui.style.glyphs import ASCII, UNICODE
from prodtop.tui.views.panel import Room, RowsView
from prodtop.tui.views.planner.breakdown import memory_view, step_view
from prodtop.tui.views.planner.capacity import matrix_view, server_view
from prodtop.tui.views.planner.curves import CURVES, PLACES, curve_view
from prodtop.tui.views.planner.decision import decision_view, guide_view
from prodtop.tui.views.planner.exports import engines_view, export_view
from prodtop.tui.views.planner.form import derived_words, form_view
from prodtop.tui.views.planner.formulas import detail_view, tree_view
from prodtop.tui.views.planner.header_footer import (
    Focus,
    footer_line,
    hint_line,
    planner_header,
    views_line,
)
from prodtop.tui.views.planner.layouts import front_view, splits_view, strategies_view
from prodtop.tui.views.planner.summary import summary_view
from prodtop.tui.views.planner.why import why_view

SMALL = evaluated()
LARGE = evaluated(model="gpt-oss-120b", gpus="2048", tp="8", pp="4", ep="8", batch="8192")
FOUND = searched()
KNOWN = reference_data()
CELLS = capacity_matrix(SMALL.plan, KNOWN)
TREES = every_figure(LARGE)
OPEN = branches(TREES, frozenset((index,) for index in range(len(TREES))))

VIEWS: dict[str, Callable[[Room], RowsView]] = {
    "summary": lambda room: summary_view(LARGE, room, "as it was before"),
    "memory": lambda room: memory_view(LARGE, room),
    "step": lambda room: step_view(LARGE, room),
    "decision": lambda room: decision_view(LARGE, room),
    "guide": guide_view,
    "why": lambda room: why_view(FOUND.layouts, room),
    "why before": lambda room: why_view(None, room),
    "tree": lambda room: tree_view(OPEN, room),
    "detail": lambda room: detail_view(TREES[1].parts[0], room),
    "engines": lambda room: engines_view(attempts(SMALL.plan), room),
    "export": lambda room: export_view(attempts(SMALL.plan)[3], "s", room),
    "refused": lambda room: export_view(attempts(SMALL.plan)[0], "s", room),
    "server": lambda room: server_view(
        serve_on(SMALL.plan, KNOWN, CELLS["h100-sxm"]), SMALL.plan, room
    ),
}
TABLES: dict[str, Callable[[Room], RowsView]] = {
    "strategies": lambda room: strategies_view(SMALL, FOUND, room),
    "strategies before": lambda room: strategies_view(SMALL, None, room),
    "splits": lambda room: splits_view(SMALL, FOUND.layouts, room, ""),
    "front": lambda room: front_view(SMALL, FOUND.layouts, room),
    "matrix": lambda room: matrix_view(SMALL.plan, CELLS, room),
}

rooms = st.builds(Room, st.integers(26, 200), st.integers(3, 60), st.sampled_from([UNICODE, ASCII]))


def lines(view: RowsView) -> list[Line]:
    return [*view.head, *(row.line for row in view.rows), *view.foot]


@pytest.mark.parametrize("name", VIEWS)
@settings(deadline=None, max_examples=25)
@given(room=rooms)
def test_every_line_fits_its_room(name: str, room: Room) -> None:
    for one in lines(VIEWS[name](room)):
        assert one.width <= max(room.width, 44), one.plain


@pytest.mark.parametrize("name", TABLES)
@settings(deadline=None, max_examples=25)
@given(room=rooms.filter(lambda room: room.width >= 43))
def test_tables_fit_and_line_up(name: str, room: Room) -> None:
    view = TABLES[name](room)
    if name not in ("splits", "front"):
        assert all(one.width <= room.width for one in lines(view))
    full = [row.line.width for row in view.rows if "searching" not in row.line.plain]
    assert len(set(full)) == 1
    assert view.head[0].width == full[0]


@pytest.mark.parametrize("name", [*VIEWS, *TABLES])
def test_plain_terminals_get_plain_characters(name: str) -> None:
    view = (VIEWS | TABLES)[name](Room(100, 40, ASCII))
    for one in lines(view):
        assert one.plain.isascii(), one.plain


def test_a_strategy_that_does_not_fit_is_crossed_out() -> None:
    found = searched(model="gpt3-175b", tp="8", pp="4", batch="64")
    shown = evaluated(model="gpt3-175b", tp="8", pp="4", batch="64")
    rows = [row.line.plain for row in strategies_view(shown, found, Room(120, 9, UNICODE)).rows]
    assert [row.split()[0] for row in rows] == [
        "yours",
        "Data",
        "Model",
        "Pipeline",
        "Tensor",
        "3D",
    ]
    assert all(re.search(r"\d ✗ ", row) for row in rows), "none fits its memory"


def test_the_strategies_show_what_was_asked_for() -> None:
    head = strategies_view(SMALL, FOUND, Room(43, 9, UNICODE)).head[0].plain
    for title in ("GiB", "step", "tok/s", "MFU", "comm"):
        assert title in head


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("growing", [True, False])
def test_curves_run_from_1_to_4096_gpus(name: str, growing: bool) -> None:
    view = curve_view(name, SMALL, FOUND, growing=growing)
    assert view.series[0].name == "yours"
    for series in view.series:
        assert all(0 <= at <= 12 for at in series.times_s)
    labels = [threshold.label for threshold in view.thresholds]
    assert labels == {"curve-memory": ["limit 79.6"], "curve-scaling": ["linear"]}.get(name, [])


@settings(deadline=None, max_examples=30)
@given(room=rooms)
def test_the_frame_fits(room: Room) -> None:
    form, moment = Form.initial(), Moment(wall_s=0, now_s=0)
    for one in (
        planner_header(moment, SMALL, room),
        hint_line(form, 2, "searching", EMPTY, room),
        *(footer_line(DEFAULT_KEYMAP, room, focus) for focus in Focus),
    ):
        assert one.width <= max(room.width, 60)
    assert views_line("overview", DEFAULT_KEYMAP, Room(80, 1, UNICODE)).width <= 80


@settings(deadline=None, max_examples=30)
@given(
    width=st.integers(26, 60),
    selected=st.integers(0, 40),
    typed=st.text(max_size=60),
    glyphs=st.sampled_from([UNICODE, ASCII]),
)
def test_the_form_fits(width: int, selected: int, typed: str, glyphs: object) -> None:
    form = Form.initial().moved(selected).begun(typed)
    room = Room(width, 30, glyphs)  # type: ignore[arg-type]  # one of the two sets
    errors = {"gpus": "must be a positive whole number, found 0"}
    words = derived_words(SMALL.plan, ReferenceData(), room.glyphs)
    view = form_view(form, errors, words, room, focused=True)
    assert 0 <= view.first <= view.last < len(view.lines)
    for one in view.lines:
        if one.plain.isascii():
            assert one.width <= width


ONE = evaluated(model="generic-1b", gpus="1", batch="1", micro_batch="1")
WRONG_COUNT = re.compile(r"(?<![\d.,])1 (?!yes\b)[A-Za-z-]{2,}s\b")


def test_the_hint_names_the_help_where_nothing_else_is_to_be_said() -> None:
    form, room = Form.initial(), Room(140, 1, UNICODE)
    assert hint_line(form, 0, "", EMPTY, room, "?").plain.endswith("? keys of this tab ")
    assert "keys of" not in hint_line(form, 0, "searching", EMPTY, room, "?").plain
    assert "keys of" not in hint_line(form, 1, "", EMPTY, room, "?").plain
    assert "keys of" not in hint_line(form, 0, "", EMPTY, Room(80, 1, UNICODE), "?").plain


@pytest.mark.parametrize("view", ["overview", "scaling", "layouts", "decision", "export"])
def test_all_views_are_named_at_80_columns_with_the_page_in_sight(view: str) -> None:
    shown = views_line(view, DEFAULT_KEYMAP, Room(80, 1, UNICODE), page=1, pages=3)
    assert shown.width <= 80
    assert " 2/3]" in shown.plain
    assert re.search(r"x Export", shown.plain)
    assert not re.search(r"\w\[", shown.plain)


def test_one_of_a_thing_is_not_written_as_many() -> None:
    room = Room(150, 60, UNICODE)
    one_gpu = serve_on(ONE.plan, KNOWN, capacity_matrix(ONE.plan, KNOWN)["h200"])
    pages = {
        "summary": summary_view(ONE, room),
        "decision": decision_view(ONE, room),
        "splits": splits_view(ONE, FOUND.layouts, room, ""),
        "server": server_view(one_gpu, ONE.plan, room),
        "matrix": matrix_view(ONE.plan, capacity_matrix(ONE.plan, KNOWN), room),
    }
    texts = {
        name: "\n".join(line.plain for line in [page.title, page.figures, *lines(page)])
        for name, page in pages.items()
    }
    curve = curve_view("curve-memory", ONE, None, growing=False)
    texts["curve"] = curve.figures.plain
    texts["curve read"] = "\n".join(curve.reading(place.label).plain for place in PLACES)
    texts["form"] = "\n".join(derived_words(ONE.plan, KNOWN, UNICODE).values())
    for name, text in texts.items():
        assert not WRONG_COUNT.search(text), (name, WRONG_COUNT.search(text))
    assert "1 GPU " in texts["curve"]
