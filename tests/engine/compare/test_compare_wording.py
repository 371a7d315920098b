"""Figures and changes in words, over all numbers that there are."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.compare.wording import Unit, change, digits, figure, several

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(FINITE)
def test_three_digits_are_right_to_half_of_the_last(value: float) -> None:
    text = digits(value)
    assert re.fullmatch(r"-?[\d,]+(\.\d+)?", text)
    assert float(text.replace(",", "")) == pytest.approx(value, rel=5.1e-3, abs=1e-320)


@given(st.none() | st.floats(), st.sampled_from(Unit))
def test_every_figure_is_a_short_line_or_missing(value: float | None, unit: Unit) -> None:
    text = figure(value, unit)
    assert text.isprintable()
    finite = value is not None and abs(value) < float("inf")
    assert (text == "--") is not finite


@given(FINITE, FINITE)
def test_any_change_has_words(old: float, new: float) -> None:
    assert change(old, new).isprintable()


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [(100.0, 90.0, "−10.0 %"), (100.0, 112.0, "+12.0 %"), (100.0, 100.01, "±0 %"),
     (100.0, 250.0, "×2.50"), (0.0, 3.0, "0 → 3.00"), (10.0, 9.996, "±0 %")],
)  # fmt: skip
def test_changes(old: float, new: float, text: str) -> None:
    assert change(old, new) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(1234.5, Unit.TOKENS_PER_S, "1,234 tok/s"), (0.87, Unit.FRACTION, "87.0 %"),
     (3 * 2**29, Unit.BYTES, "1.50 GiB"), (512, Unit.BYTES, "512 B"), (2.4, Unit.FACTOR, "×2.40"),
     (9.996, Unit.MS, "10.0 ms"), (32, Unit.COUNT, "32"), (0.0, Unit.MS, "0 ms")],
)  # fmt: skip
def test_figures(value: float, unit: Unit, text: str) -> None:
    assert figure(value, unit) == text


def test_long_lists_say_how_many_more() -> None:
    assert several(["a"]) == "a"
    assert several(["a", "b", "c"]) == "a, b and c"
    assert several(list("abcdefg")) == "a, b, c and 4 others"
