"""The form as a value: choosing, turning, typing, taking back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.planner.question.options import FORM
from prodtop.tui.planner.form import LONGEST, Editing, Form, stepped

FIRST = Form.initial()


def test_a_form_begins_with_its_first_values() -> None:
    assert dict(FIRST.texts) == {key: line.first for key, line in FORM.items()}
    assert FIRST.key == "model"
    assert FIRST.line is FORM["model"]


def test_the_choice_stops_at_both_ends() -> None:
    assert FIRST.moved(-1).selected == 0
    assert FIRST.moved(10_000).selected == len(FORM) - 1


@pytest.mark.parametrize("key", FORM)
def test_a_first_value_is_one_of_the_steps(key: str) -> None:
    assert FORM[key].first in FORM[key].steps


@pytest.mark.parametrize(
    ("text", "up", "down"),
    [("32", "64", "16"), ("33", "64", "32"), ("1", "2", "1"), ("99999999", "16384", "16384")],
)
def test_numbers_turn_to_the_next_step(text: str, up: str, down: str) -> None:
    line = FORM["gpus"]
    assert stepped(line, text, 1) == up
    assert stepped(line, text, -1) == down


def test_a_word_between_steps_turns_to_the_first_value() -> None:
    assert stepped(FORM["model"], "no-such-model", 1) == "generic-7b"
    assert stepped(FORM["gpus"], "many", -1) == "32"


def test_what_is_typed_counts_at_once_and_can_be_taken_back() -> None:
    typing = FIRST.choosing("gpus").begun("6")
    typing = typing.edited(Editing("6", 1).typed("4"))
    assert typing.current["gpus"] == "64"
    assert typing.texts["gpus"] == "32"
    assert typing.cancelled().current["gpus"] == "32"
    assert typing.committed().texts["gpus"] == "64"
    assert typing.moved(1).texts["gpus"] == "64"


def test_nothing_typed_leaves_the_value() -> None:
    assert FIRST.choosing("gpus").begun("").committed().texts["gpus"] == "32"


@given(st.text(max_size=300), st.integers(-5, 310))
def test_typing_keeps_the_caret_inside_one_line(text: str, caret: int) -> None:
    editing = Editing("", 0).typed(text).moved(caret)
    assert 0 <= editing.caret <= len(editing.text) <= LONGEST
    assert editing.text.isprintable()
    for before in (True, False):
        erased = editing.erased(before=before)
        assert len(editing.text) - len(erased.text) in (0, 1)
        assert 0 <= erased.caret <= len(erased.text)


def test_selected_text_is_replaced_by_what_is_typed_and_kept_by_a_move() -> None:
    typing = FIRST.choosing("gpus").begun()
    assert typing.editing == Editing("32", 2, selected=True)
    assert typing.editing.typed("8") == Editing("8", 1)
    assert typing.editing.erased(before=True) == Editing("", 0)
    assert typing.editing.moved(0).typed("1") == Editing("132", 1)
    assert typing.committed().texts["gpus"] == "32"
