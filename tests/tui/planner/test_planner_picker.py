"""Picking from a list: filtering, moving, taking, and what is on no list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.planner.cost.hardware import known_gpus
from prodtop.engine.planner.question.options import FORM
from prodtop.engine.planner.question.parsers import SERVED
from prodtop.engine.shape.presets import PRESETS
from prodtop.tui.planner.picker import Picker, picker_for
from prodtop.tui.style.glyphs import ASCII, UNICODE
from prodtop.tui.views.panel import Room
from prodtop.tui.views.planner.picker import picker_lines


def models(current: str = "generic-7b") -> Picker:
    picker = picker_for("model", current, None)
    assert picker is not None
    return picker


def gpus() -> Picker:
    picker = picker_for("gpu", "h100-sxm", None)
    assert picker is not None
    return picker


def test_models_and_gpus_have_lists_and_other_fields_none() -> None:
    assert {choice.name for choice in models().choices} == {SERVED, *PRESETS}
    assert {choice.name for choice in gpus().choices} == set(known_gpus())
    assert [key for key in FORM if picker_for(key, "", None) is not None] == ["model", "gpu"]


def test_it_begins_at_what_stands_in_the_field() -> None:
    assert models("llama-3.1-8b").taken == "llama-3.1-8b"
    assert gpus().taken == "h100-sxm"
    assert models("/a/path").cursor == 0


def test_every_choice_says_its_size() -> None:
    assert all(choice.facts[0].endswith(("B", "M", "active")) for choice in models().choices[1:])
    for choice in gpus().choices:
        assert choice.facts[0].endswith("GiB")
        assert choice.facts[1].endswith("TB/s")


@pytest.mark.parametrize(
    ("query", "first"), [("qwen3-8b", "qwen3-8b"), ("llama 405", "llama-3.1-405b"), ("ser", SERVED)]
)
def test_all_words_of_the_filter_must_be_there(query: str, first: str) -> None:
    assert models().typed(query).taken == first


@given(st.text(max_size=12), st.lists(st.integers(-12, 12), max_size=4))
def test_whatever_is_typed_something_can_be_taken(query: str, moves: list[int]) -> None:
    picker = models().typed(query)
    for steps in moves:
        picker = picker.moved(steps)
        assert 0 <= picker.cursor < len(picker.matching)
    assert picker.taken
    typed = picker.query.strip()
    if typed and typed not in (SERVED, *PRESETS):
        assert picker.moved(9999).taken == typed
    assert picker.emptied().matching == models().matching


@given(
    st.integers(20, 120),
    st.integers(5, 40),
    st.sampled_from([UNICODE, ASCII]),
    st.integers(0, 60),
    st.sampled_from(["", "llama", "no such thing", "8b"]),
)
def test_the_chosen_line_is_in_sight_and_all_lines_fit(
    width: int, height: int, glyphs: object, steps: int, query: str
) -> None:
    for start in (models(), gpus()):
        picker = start.typed(query).moved(steps)
        room = Room(width, height, ASCII if glyphs is ASCII else UNICODE)
        lines = picker_lines(picker, room)
        assert len(lines) <= height
        assert all(one.width <= width for one in lines)
        chosen = [one.plain for one in lines if one.plain.startswith(room.glyphs.pointer)]
        assert len(chosen) == 1
        assert picker.taken[: width - 6] in chosen[0]
        if room.glyphs is ASCII:
            assert all(one.plain.isascii() for one in lines)
