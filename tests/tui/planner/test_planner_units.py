"""Quantities of planning as short text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.planner.question.parsers import parse_amount
from prodtop.tui.planner.units import amount, gib, long_time, parameters, seconds
from prodtop.tui.style.formatting import energy


@given(st.integers(1, 10**6).map(lambda n: n * 1e6))
def test_an_amount_is_read_as_it_is_written(value: float) -> None:
    assert parse_amount(amount(value)) == pytest.approx(value, rel=1e-3)


def test_units() -> None:
    assert gib(61.7 * 2**30) == "61.7"
    assert seconds(0.85) == "850 ms"
    assert seconds(14.52) == "14.5 s"
    assert long_time(86_400 * 33.3) == "33.3 days"
    assert long_time(86_400 * 365.25 * 12) == "12.0 years"
    assert energy(3600.0 * 16.1e6) == "16.1 MWh"
    assert parameters(7.11e9) == "7.11B"
