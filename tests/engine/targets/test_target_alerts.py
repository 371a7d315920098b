"""Alerts of targets: when they begin and end, which targets have them, and what they say."""

from collections.abc import Callable
from functools import cache

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import Severity, TargetAlert, TargetName
from prodtop.engine.targets.level_alert import MARGIN, LevelAlert
from prodtop.engine.targets.settings import AT_LEAST, QUIET, TargetSettings, is_met
from prodtop.engine.targets.watch import TargetWatch
from target_reports import busy_frame

WINDOW_S, SHORT_S = 300.0, 25.0

Counts = Callable[[int], tuple[int, int]]
"""From a second to how many requests have finished and failed by then."""


def alerts(settings: TargetSettings, seconds: int, counts: Counts) -> list[tuple[int, TargetAlert]]:
    """Every change of an alert, with the second it came in; the engine costs $36 an hour."""
    watch, found = TargetWatch(settings, lambda _: 36.0), []
    for second in range(seconds):
        finished, failed = counts(second)
        watch.take(busy_frame(finished, failed=failed), float(second))
        found += [(second, each) for each in watch.look(float(second), 1000.0 + second)[1]]
    return found


def outage(begin: int, end: int) -> Counts:
    """Ten requests a second, all of which fail between two times."""

    def counts(second: int) -> tuple[int, int]:
        failed = 10 * max(0, min(second, end) - begin)
        return 10 * second - failed, failed

    return counts


ONLY_AVAILABILITY = TargetSettings(alerts=(TargetName.AVAILABILITY,))


@cache
def outage_of_a_minute() -> list[tuple[int, TargetAlert]]:
    return alerts(ONLY_AVAILABILITY, 2400, outage(1900, 1960))


def test_an_outage_is_one_page_with_its_figures_and_its_end() -> None:
    found = outage_of_a_minute()
    pages = [(second, each) for second, each in found if each.severity is Severity.PAGE]
    (began_s, began), (ended_s, ended) = pages
    assert 1904 <= began_s <= 1908
    assert (began.active, ended.active) == (True, False)
    assert began.began_wall_s == began.wall_s == ended.began_wall_s == 1000.0 + began_s
    assert ended.wall_s == 1000.0 + ended_s
    assert "availability" in began.text
    assert "> 99.9 %" in began.text
    assert "over 5m" in began.text
    # The slower rule's short window, 150 s, holds it until that is over and has been quiet.
    assert 1960 + 2 * 150 - 40 <= ended_s <= 1960 + 2 * 150 + 5


def test_a_ticket_waits_while_the_page_says_the_same() -> None:
    found = outage_of_a_minute()
    active = [second for second, each in found if each.severity is Severity.PAGE]
    tickets = [second for second, each in found if each.severity is Severity.TICKET]
    assert not [second for second in tickets if active[0] <= second < active[1]]


@pytest.mark.parametrize("settings", [QUIET, TargetSettings(alerts=(TargetName.COST,))])
def test_targets_that_are_not_named_alert_nobody(settings: TargetSettings) -> None:
    assert not alerts(settings, 700, outage(100, 700))


def cost(dear_from: int, dear_until: int) -> Counts:
    """$36 an hour is 1 cent a second: two requests a second cost half a cent each, one in five
    seconds costs five."""

    def counts(second: int) -> tuple[int, int]:
        dear = max(0, min(second, dear_until) - dear_from)
        return 2 * (second - dear) + dear // 5, 0

    return counts


def test_a_level_is_a_ticket_once_both_windows_miss_and_ends_with_the_short_one() -> None:
    """Dear from 600 s on: the mean of five minutes passes a cent when x of them are dear,
    1 cent × 300 s = 1 cent × (2·(300 − x) + x/5): x = 166.7 s. The short window is 25 s long."""
    settings = TargetSettings(alerts=(TargetName.COST,))
    found = alerts(settings, 1400, cost(600, 900))
    assert [each.active for _, each in found] == [True, False]
    assert {each.severity for _, each in found} == {Severity.TICKET}
    (began_s, began), (ended_s, _) = found
    assert 600 + 166 <= began_s <= 600 + 172
    assert "over both windows" in began.text
    assert 900 + SHORT_S <= ended_s <= 900 + 2 * SHORT_S + 2


def test_a_level_with_few_requests_alerts_nobody() -> None:
    settings = TargetSettings(alerts=(TargetName.COST,), least_requests=500)
    assert not alerts(settings, 1000, cost(0, 1000))


@given(
    st.sampled_from(list(TargetName)),
    st.lists(st.floats(0.9, 1.1), min_size=30, max_size=120),
)
def test_levels_around_their_limit_do_not_flap(name: TargetName, sways: list[float]) -> None:
    """Whatever sways within the margin: an alert begins once at most, and does not end."""
    alert, begun, limit = LevelAlert(name, 0.5, 25.0), 0, 0.5
    for second, sway in enumerate(sways):
        value = limit * (1 + (sway - 1) * MARGIN * 9.9)
        before = alert.on
        alert.look(value, value, float(second), enough=True)
        begun += alert.on and not before
        assert not (before and not alert.on)
    assert begun <= 1


def test_a_level_alert_ends_when_nobody_asks_any_more() -> None:
    alert = LevelAlert(TargetName.COST, 0.01, 25.0)
    alert.look(0.02, 0.02, 0.0, enough=True)
    alert.look(0.02, None, 10.0, enough=True)
    assert alert.on
    alert.look(None, None, 300.0, enough=False)
    assert not alert.on


@pytest.mark.parametrize("name", list(TargetName))
def test_a_limit_has_a_side(name: TargetName) -> None:
    limit = TargetSettings().limit(name)
    assert is_met(name, limit * 1.0001, limit) == (name in AT_LEAST)
    assert is_met(name, limit * 0.9999, limit) == (name not in AT_LEAST)
    assert not is_met(name, limit, limit)


def test_the_defaults_are_those_of_production() -> None:
    settings, batch = TargetSettings(), TargetSettings(mode="batch")
    assert {name.value: settings.limit(name) for name in TargetName} == {
        "e2e": 100.0,
        "requests": 100.0,
        "gpu": 0.8,
        "memory": 0.7,
        "availability": 0.999,
        "safety": 0.001,
        "cost": 0.01,
        "quality": 0.95,
        "consistency": 0.05,
    }
    assert batch.limit(TargetName.E2E) == 1000.0
    assert TargetSettings(mode="batch", e2e_p95_ms=70).limit(TargetName.E2E) == 70


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("window", "session"),
        ("availability", 1.0),
        ("availability", 0.0),
        ("requests_per_s", -1.0),
        ("time_scale", 0.5),
        ("alerts", ["weather"]),
        ("on_alert", "a string"),
        ("on_alert_per_minute", 0),
        ("unknown", 1),
    ],
)
def test_settings_that_cannot_be_are_refused(field: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({field: value}, TargetSettings)
