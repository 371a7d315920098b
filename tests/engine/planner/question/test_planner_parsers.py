"""Numbers as people type them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.planner.question.parsers import parse_amount, parse_whole


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4096", 4096.0),
        ("1.4T", 1.4e12),
        (" 300 b", 3e11),
        ("15e12", 15e12),
        ("70B", 7e10),
        ("1,000", 1000.0),
        ("1_000", 1000.0),
        (".5", 0.5),
        ("0", 0.0),
    ],
)
def test_amounts(text: str, value: float) -> None:
    assert parse_amount(text) == pytest.approx(value)


@pytest.mark.parametrize(("text", "value"), [("8k", 8192), ("1m", 1 << 20), ("32", 32)])
def test_whole_numbers_count_in_binary(text: str, value: int) -> None:
    assert parse_whole(text) == value


@pytest.mark.parametrize("text", ["", "k", "-1", "1.5.2", "nan", "inf", "0x10", "1e999", "٣"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_amount(text)


def test_a_fraction_is_not_whole() -> None:
    with pytest.raises(ValueError, match="whole"):
        parse_whole("1.5")


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_an_error(text: str) -> None:
    for parse in (parse_amount, parse_whole):
        with suppress(ValueError):
            assert parse(text) >= 0
