"""The declared options: each can be read as it stands, and a refusal names one of them."""

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.question.option import Option
from prodtop.engine.planner.question.options import (
    BY_KEY,
    CALIBRATION_OPTIONS,
    CAPACITY_OPTIONS,
    EXPORT_OPTIONS,
    FORM,
    SEARCH_OPTIONS,
)
from prodtop.engine.planner.question.parsers import AUTO
from prodtop.engine.planner.question.question import (
    QuestionError,
    Reader,
    ReferenceData,
    read_question,
)
from prodtop.engine.planner.search.constraints import Constraints
from prodtop.engine.shape.field_errors import FieldError

EVERY: list[Option[object]] = [
    *SEARCH_OPTIONS,
    *EXPORT_OPTIONS,
    *CAPACITY_OPTIONS,
    *CALIBRATION_OPTIONS,
]
DATA = ReferenceData()


@pytest.mark.parametrize("option", EVERY, ids=[option.key for option in EVERY])
def test_a_default_can_be_read(option: Option[object]) -> None:
    if not (option.key == "framework" and option.default == AUTO):
        option.parse(option.default)
    assert option.help
    assert (option.auto == "") or option.default == AUTO


@pytest.mark.parametrize("key", FORM)
def test_every_step_of_the_form_can_be_read(key: str) -> None:
    for text in FORM[key].steps:
        BY_KEY[key].parse(text)


def test_every_constraint_but_the_least_degrees_can_be_asked_for() -> None:
    keys = {option.key for option in SEARCH_OPTIONS}
    asked = {field.name for field in fields(Constraints)} - {"least_dp", "least_tp", "least_pp"}
    assert asked - keys == {"memory_bytes", "keep", "recompute_layers"}
    assert {"memory_gib", "top"} <= keys


def test_a_reason_of_every_wrong_text_is_kept_and_the_first_is_said() -> None:
    with pytest.raises(QuestionError) as raised:
        read_question(Reader({"gpus": "x", "zero": "9", "memory_gib": "1e300"}), DATA)
    assert set(raised.value.reasons) == {"gpus", "zero", "memory_gib"}
    assert str(raised.value) == (
        "--gpus: must be a positive whole number, found 'x'; give another number of GPUs"
    )


def test_a_refusal_is_of_the_touched_option_where_it_may_be_to_blame() -> None:
    texts = {"tp": "3", "pp": "1", "gpus": "32"}
    for touched, blamed in (("pp", "pp"), ("gpus", "gpus"), ("tokens", "gpus")):
        with pytest.raises(QuestionError) as raised, Reader(texts, touched).blaming_options():
            raise FieldError("dp", "32 GPUs do not split")
        assert list(raised.value.reasons) == [blamed]


def test_what_is_left_open_is_searched() -> None:
    question = read_question(Reader({"gpus": "4", "tp": AUTO, "pp": "2"}), DATA)
    assert question.constraints == Constraints(batch=32, pp=2, keep=8)
    assert question.tokens is None


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(BY_KEY)), st.text(max_size=12), max_size=6))
def test_any_texts_are_a_question_or_an_error_in_one_line(texts: dict[str, str]) -> None:
    try:
        question = read_question(Reader(texts), DATA)
    except QuestionError as error:
        line = str(error)
        assert line.startswith("--")
        assert "\n" not in line
    else:
        assert question.setting.cluster.gpus >= 1
