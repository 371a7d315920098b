"""Numbers as text: exact examples, and what must hold for every number."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.style.formatting import (
    FRACTION,
    MILLISECONDS,
    MISSING,
    NUMBER,
    Unit,
    binary_bytes,
    bytes_pair,
    clip,
    count,
    duration,
    exact,
    milliseconds,
    percent,
    rate,
    si,
    span,
    tally,
)

positive = st.floats(min_value=1e-3, max_value=1e15)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.042, "0.04"),
        (4, "4.00"),
        (9.999, "10.0"),
        (34.9, "34.9"),
        (99.96, "100"),
        (999.4, "999"),
        (999.6, "1.00k"),
        (22_900, "22.9k"),
        (-22_900, "-22.9k"),
        (1_500_000, "1.50M"),
        (2e12, "2.00T"),
    ],
)
def test_si_keeps_three_digits(value: float, text: str) -> None:
    assert si(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (512, "512 B"), (1024, "1.00 KiB"), (21.4 * 2**30, "21.4 GiB")],
)
def test_bytes_count_in_powers_of_1024(value: float, text: str) -> None:
    assert binary_bytes(value) == text


def test_a_pair_of_bytes_shares_the_unit_of_the_total() -> None:
    assert bytes_pair(21.4 * 2**30, 139.8 * 2**30) == "21.4 / 139.8 GiB"
    assert bytes_pair(None, 16 * 2**30) == "-- / 16.0 GiB"
    assert bytes_pair(2**30, None) == "1.00 GiB / --"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 ms"),
        (0.42, "0.42 ms"),
        (8.71, "8.7 ms"),
        (88.4, "88 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (1_204, "1.20 s"),
        (12_520, "12.5 s"),
        (125_000, "125 s"),
    ],
)
def test_milliseconds_become_seconds_from_one_second_on(value: float, text: str) -> None:
    assert milliseconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 %"), (0.021, "2.1 %"), (0.41, "41 %"), (1, "100 %")]
)
def test_percent(value: float, text: str) -> None:
    assert percent(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "--"), (0, "0"), (8.0, "8"), (7.75, "7.8"), (512, "512"), (4e3, "4.00k")],
)
def test_a_tally_is_whole_unless_it_is_a_mean(value: float | None, text: str) -> None:
    assert tally(value) == text


def test_rates_name_their_unit() -> None:
    assert rate(22_900, "tok") == "22.9k tok/s"
    assert rate(4) == "4.00/s"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "00:00:00"), (751.9, "00:12:31"), (90_061, "1d 01:01:01"), (-1, "00:00:00")],
)
def test_durations_run_like_a_clock(value: float, text: str) -> None:
    assert duration(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5s"),
        (10, "10s"),
        (59.7, "1m"),
        (60, "1m"),
        (90, "1m30s"),
        (7200, "2h"),
        (93_600, "1d2h"),
    ],
)
def test_spans_have_two_units_at_most(value: float, text: str) -> None:
    assert span(value) == text


@pytest.mark.parametrize(
    ("value", "width", "text"),
    [
        (None, 4, "  --"),
        (7, 4, "   7"),
        (999, 0, "999"),
        (2_145, 0, "2,145"),
        (9_999, 0, "9,999"),
        (10_000, 0, "10,000"),
        (12_633, 0, "12,633"),
        (12_633, 3, "12,633"),
        (99_999, 0, "99,999"),
        (100_000, 0, "100k"),
        (123_456, 8, " 123,456"),
        (123_456, 7, "   123k"),
        (1_234_567, 10, " 1,234,567"),
        (1_234_567, 9, "    1.23M"),
    ],
)
def test_counts_are_exact_while_there_is_room(value: int | None, width: int, text: str) -> None:
    assert count(value, width=width) == text


@given(st.integers(0, 10**15))
def test_an_exact_number_has_all_its_digits(value: int) -> None:
    assert int(exact(value).replace(",", "")) == value
    assert re.fullmatch(r"\d{1,3}(,\d{3})*", exact(value))


def test_an_exact_number_may_be_missing() -> None:
    assert exact(None) == MISSING


@pytest.mark.parametrize(
    "write", [si, count, binary_bytes, milliseconds, percent, rate, duration, span]
)
def test_what_is_missing_is_never_zero(write: object) -> None:
    assert callable(write)
    assert MISSING in str(write(None))


@pytest.mark.parametrize("write", [si, binary_bytes, milliseconds, percent])
def test_what_is_no_number_is_missing(write: object) -> None:
    assert callable(write)
    assert write(math.nan) == MISSING
    assert write(math.inf) == MISSING


@given(positive)
def test_si_is_within_half_a_percent(value: float) -> None:
    match = re.fullmatch(r"([\d.]+)([kMGTPE]?)", si(value))
    assert match is not None
    scale = 1000.0 ** ("kMGTPE".index(match[2]) + 1) if match[2] else 1.0
    shown = float(match[1]) * scale
    assert shown == pytest.approx(value, rel=0.00501, abs=0.00501)


@given(positive)
def test_si_is_at_most_five_wide(value: float) -> None:
    assert len(si(value)) <= 5


@given(st.floats(min_value=0, max_value=1e9))
def test_milliseconds_are_at_most_seven_wide_up_to_a_quarter_of_an_hour(value_ms: float) -> None:
    if value_ms < 999_500:
        assert len(milliseconds(value_ms)) <= 7


@given(st.one_of(st.none(), st.floats(1e-3, 1e9)), st.integers(min_value=12, max_value=20))
def test_a_width_holds_whatever_the_number(value: float | None, width: int) -> None:
    for write in (si, binary_bytes, milliseconds):
        assert len(write(value, width=width)) == width


@given(st.text(max_size=30), st.integers(min_value=0, max_value=20))
def test_clipped_text_fits(text: str, width: int) -> None:
    clipped = clip(text, width)
    if len(text) <= width:
        assert clipped == text
    elif width == 0:
        assert clipped == ""
    else:
        assert (clipped[:-1], clipped[-1]) == (text[: width - 1], "…")


@pytest.mark.parametrize(
    ("unit", "value", "label"),
    [
        (NUMBER, 25_000, "25k"),
        (NUMBER, 2_500, "2.5k"),
        (MILLISECONDS, 250, "250ms"),
        (MILLISECONDS, 1_500, "1.5s"),
        (MILLISECONDS, 0, "0"),
        (FRACTION, 0.5, "50%"),
    ],
)
def test_axis_labels_are_short(unit: Unit, value: float, label: str) -> None:
    assert unit.axis(value) == label


@given(st.sampled_from([NUMBER, MILLISECONDS]), st.integers(0, 7), st.sampled_from([1, 1.5, 2, 5]))
def test_round_axis_values_fit_into_five_cells(unit: Unit, power: int, step: float) -> None:
    assert len(unit.axis(step * 10.0**power)) <= 5
