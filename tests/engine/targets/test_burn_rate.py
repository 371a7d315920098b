"""Error budgets over simulated histories whose alert times are worked out by hand."""

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import Severity
from prodtop.engine.targets.burn_rate import RULES, BurnMeter, BurnRule

BUDGET = 0.001
PER_S = 10
"""Requests per second of the histories."""
SCALE = 12.0
FAST = RULES[0]
LONG_S, SHORT_S = FAST.long_s / SCALE, FAST.short_s / SCALE
BIN_S = SHORT_S / 10

Bad = Callable[[int], float]
"""From a second to the share of its requests that are bad."""


def meter(least: int = 50, rules: tuple[BurnRule, ...] = RULES) -> BurnMeter:
    return BurnMeter(BUDGET, least_requests=least, time_scale=SCALE, rules=rules)


def play(
    burn: BurnMeter, seconds: int, bad: Bad, *, per_s: float = PER_S, from_s: int = 0
) -> Iterator[tuple[int, Severity | None]]:
    """Each second, with the strongest alert in force."""
    for second in range(from_s, from_s + seconds):
        burn.add(per_s * bad(second), per_s, float(second))
        burn.look(float(second))
        yield second, next((each for each in Severity if burn.firing(each)), None)


def changes(history: Iterator[tuple[int, Severity | None]]) -> list[tuple[int, Severity | None]]:
    """The seconds at which the alert in force changes."""
    found: list[tuple[int, Severity | None]] = []
    for second, severity in history:
        if (found[-1][1] if found else None) is not severity:
            found.append((second, severity))
    return found


def test_the_rules_are_the_workbooks() -> None:
    """Each spends a stated part of a 30-day budget in its long window; the short is its twelfth."""
    month_s = 30 * 86_400.0
    assert [rule.factor * rule.long_s / month_s for rule in RULES] == pytest.approx(
        [0.02, 0.05, 0.10]
    )
    assert all(rule.long_s == 12 * rule.short_s for rule in RULES)


def test_an_outage_pages_as_soon_as_the_long_window_has_burnt_enough() -> None:
    """After 20 good minutes everything fails. The long window reaches 14.4 × 0.1 % = 1.44 % of bad
    requests 1.44 % of 5 minutes later, 4.3 s; the short one is there before."""
    began = 1200
    found = changes(play(meter(rules=(FAST,)), 1300, lambda second: float(second >= began)))
    assert [severity for _, severity in found] == [Severity.PAGE]
    due_s = 0.0144 * LONG_S
    assert began + due_s - BIN_S - 1 <= found[0][0] <= began + due_s + 1


def test_a_slow_burn_is_a_ticket_when_its_short_window_has_passed_once() -> None:
    """At twice the budget no page is due, ever; the ticket's rule speaks after its 30 minutes."""
    burn = BurnMeter(BUDGET, least_requests=50, time_scale=SCALE)
    found = changes(play(burn, 2400, lambda _: 0.002))
    assert found == [(int(RULES[2].short_s / SCALE), Severity.TICKET)]


def test_below_the_budget_there_is_no_alert_and_some_of_it_is_left() -> None:
    burn = meter()
    assert changes(play(burn, 3600, lambda _: 0.0007)) == []
    assert burn.budget_left(3600.0) == pytest.approx(0.3)


def test_a_short_burst_is_over_before_both_windows_agree() -> None:
    """Three seconds of outage: 30 bad of 3,000 in the long window, a burn of 10."""
    rules = (FAST,)
    burst = range(1200, 1203)
    assert changes(play(meter(rules=rules), 1800, lambda second: float(second in burst))) == []


def test_the_page_ends_when_the_short_window_has_been_quiet_for_as_long_as_it_is() -> None:
    """The outage of a minute ends: after 25 s the short window holds nothing bad (it is below 80 %
    of the factor a moment before), and 25 s later the alert ends."""
    outage = range(1200, 1260)
    found = changes(play(meter(rules=(FAST,)), 1500, lambda second: float(second in outage)))
    assert [severity for _, severity in found] == [Severity.PAGE, None]
    ended = found[1][0]
    assert 1260 + 2 * SHORT_S - 2 * BIN_S - 2 <= ended <= 1260 + 2 * SHORT_S + 2


def test_a_rate_that_sways_around_the_factor_does_not_flap() -> None:
    """Between 90 % and 110 % of it, every second anew, for an hour: one alert begins, none ends."""
    draw = random.Random(7)
    shares = [BUDGET * FAST.factor * draw.uniform(0.9, 1.1) for _ in range(3600)]
    found = changes(play(meter(rules=(FAST,)), 3600, lambda second: shares[second]))
    assert [severity for _, severity in found] in ([], [Severity.PAGE])
    slow = [BUDGET * FAST.factor * (1.2 if second // 20 % 2 else 0.82) for second in range(3600)]
    assert len(changes(play(meter(rules=(FAST,)), 3600, lambda second: slow[second]))) == 1


@given(st.integers(1, 5), st.floats(0.1, 600))
def test_five_requests_alert_nobody(requests: int, gap_s: float) -> None:
    burn = meter()
    for number in range(requests):
        burn.add(1, 1, number * gap_s)
        burn.look(number * gap_s)
        assert not any(burn.firing(each) for each in Severity)


@pytest.mark.parametrize("bad", [1, 2])
def test_one_or_two_bad_requests_are_an_accident(bad: int) -> None:
    """Of 60 requests two bad ones burn at 33, by arithmetic."""
    burn = meter()
    for second in range(60):
        burn.add(float(second >= 60 - bad), 1, float(second))
        burn.look(float(second))
    assert not any(burn.firing(each) for each in Severity)


def test_an_alert_stands_while_nobody_asks_and_ends_with_the_long_window() -> None:
    burn = meter(rules=(FAST,))
    everything = changes(play(burn, 100, lambda _: 1.0))
    assert everything[-1][1] is Severity.PAGE
    silence = changes(play(burn, 400, lambda _: 0.0, per_s=0, from_s=100))
    # `changes` begins from no alert: the page stands at first, and ends once.
    assert [severity for _, severity in silence] == [Severity.PAGE, None]
    assert 100 + LONG_S - BIN_S - 2 <= silence[1][0] <= 100 + LONG_S + 1


def test_a_clock_that_jumps_raises_and_ends_no_alert_by_itself() -> None:
    """Back by an hour, and forward by ten: what was there before is of another time."""
    burn = meter(rules=(FAST,))
    assert changes(play(burn, 600, lambda _: 0.0)) == []
    assert changes(play(burn, 60, lambda _: 0.0, from_s=-3000)) == []
    assert changes(play(burn, 60, lambda _: 0.0, from_s=36_000)) == []
    assert changes(play(burn, 60, lambda _: 1.0, from_s=36_060))[-1][1] is Severity.PAGE
    assert all(severity is Severity.PAGE for _, severity in play(burn, 20, lambda _: 1.0))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=50))
def test_rates_and_budget_are_shares_over_the_budget(pairs: list[tuple[int, int]]) -> None:
    burn, counts = meter(), [(min(pair), max(pair)) for pair in pairs]
    for second, (bad, total) in enumerate(counts):
        burn.add(bad, total, second / 10)
    bad, total = (sum(each) for each in zip(*counts, strict=True))
    now_s = (len(counts) - 1) / 10
    expected = bad / total / BUDGET if total else None
    assert all(each.long == pytest.approx(expected) for each in burn.look(now_s))
    left = burn.budget_left(now_s)
    assert left == (pytest.approx(1 - bad / total / BUDGET) if total else None)


@pytest.mark.parametrize("budget", [0.0, 1.0, -0.1])
def test_a_budget_is_a_share(budget: float) -> None:
    with pytest.raises(ValueError, match="budget"):
        BurnMeter(budget, least_requests=1)
