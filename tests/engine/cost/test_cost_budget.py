"""The budget's alert: when it begins and ends, and that it does not flap."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.cost.budget import CLEARED_BELOW, check_budget
from prodtop.engine.cost.settings import CostSettings

HOURLY = CostSettings(budget_usd_per_hour=4.0)


def states(history: list[float], settings: CostSettings = HOURLY) -> list[bool]:
    """Whether it is over after each of a history of projected spends."""
    over, found = False, []
    for projected in history:
        alert = check_budget(projected, settings, was_over=over)
        assert alert is not None
        over = alert.over
        found.append(over)
    return found


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([3.9, 4.0, 4.01], [False, False, True]),
        ([5.0, 3.9, 3.81, 3.79], [True, True, True, False]),
        ([3.79, 3.9, 4.0], [False, False, False]),
    ],
)
def test_it_begins_above_the_budget_and_ends_well_below(
    history: list[float], expected: list[bool]
) -> None:
    assert states(history) == expected


@given(st.lists(st.floats(4.0 * CLEARED_BELOW + 1e-9, 4.5), max_size=30))
def test_a_spend_around_the_budget_changes_the_state_once_at_most(history: list[float]) -> None:
    found = states(history)
    assert sum(before != after for before, after in itertools.pairwise(found)) <= 1


def test_the_tighter_budget_holds_and_is_named() -> None:
    both = CostSettings(budget_usd_per_hour=4.0, budget_usd_per_day=48.0)
    alert = check_budget(3.0, both)
    assert alert is not None
    assert alert.over
    assert alert.budget_usd_per_hour == 2.0
    assert alert.text == "$72.00/day of a budget of $48.00/day"
    hourly = check_budget(5.2, HOURLY)
    assert hourly is not None
    assert hourly.text == "$5.20/h of a budget of $4.00/h"


def test_nothing_is_said_without_a_budget_or_a_spend() -> None:
    assert check_budget(5.0, CostSettings()) is None
    assert check_budget(None, HOURLY) is None
