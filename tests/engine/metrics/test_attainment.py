"""Requests judged by the limits: as they end, and while they are in flight."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.metrics.attainment import AttainmentMeter, at_least_s
from prodtop.engine.metrics.latency import RequestLatency
from prodtop.engine.protocol import SLO_NAMES, WINDOW_SECONDS, Latency, SloSpec, Window

SPANS_S = {Window.SWITCH: float("inf"), **WINDOW_SECONDS}

NO_LIMIT = SloSpec(ttft_ms=None, tpot_ms=None, itl_ms=None)


def slo(**limits_ms: float) -> SloSpec:
    """These limits and no other: `slo(ttft=200.0)`."""
    return SloSpec(**{f"{name}_ms": limits_ms.get(name) for name in SLO_NAMES})


def ended(seconds: float = 0.1, **changes: object) -> RequestLatency:
    """A request all of whose latencies are `seconds`, but for the `changes`."""
    values: dict[str, object] = dict.fromkeys(
        ("e2e_s", "ttfb_s", "ttft_s", "tpot_s", "queue_s"), seconds
    )
    values["itl_s"] = np.array([seconds / 2, seconds])
    return RequestLatency(**{**values, **changes})  # type: ignore[arg-type]  # names checked by it


@dataclass
class Flying:
    """A request on its way, as the scheduler has it."""

    arrival_at_s: float = 0.0
    queued_at_s: float | None = 0.0
    scheduled_at_s: float | None = None
    first_token_at_s: float | None = None
    first_byte_at_s: float | None = None
    last_token_at_s: float | None = None
    longest_gap_s: float = 0.0
    max_tokens: int = 11


def test_every_latency_may_have_a_limit() -> None:
    assert set(SLO_NAMES) == set(Latency.__struct_fields__)


@pytest.mark.parametrize("name", SLO_NAMES)
def test_each_limit_judges_requests_that_ended_and_that_failed(name: str) -> None:
    meter = AttainmentMeter(0.0, slo(**{name: 500.0}))
    for second in range(1, 9):
        meter.on_finished(ended(0.1 if second <= 6 else 0.9), float(second))
    meter.on_failed(8.5)
    meter.on_failed(8.5)
    found = meter.all_windows((), SPANS_S, 9.0)[Window.S10]
    assert (found.ended, found.failed, found.over_in_flight) == (10, 2, 0)
    assert found.within == {name: pytest.approx(0.6)}
    assert found.within_all == pytest.approx(0.6)
    assert found.goodput_per_s == pytest.approx(6 / 9, rel=0.1)


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("ttft", Flying()),
        ("ttft", Flying(scheduled_at_s=0.5, first_token_at_s=12.0, last_token_at_s=12.0)),
        ("ttfb", Flying(scheduled_at_s=0.5, first_token_at_s=1.0, last_token_at_s=19.9)),
        (
            "tpot",
            Flying(scheduled_at_s=0.0, first_token_at_s=0.0, last_token_at_s=19.9, max_tokens=2),
        ),
        ("itl", Flying(scheduled_at_s=0.0, first_token_at_s=1.0, last_token_at_s=2.0)),
        (
            "itl",
            Flying(
                scheduled_at_s=0.0,
                first_token_at_s=1.0,
                last_token_at_s=19.9,
                longest_gap_s=11.0,
            ),
        ),
        ("e2e", Flying()),
        ("queue", Flying()),
        ("queue", Flying(scheduled_at_s=11.0)),
    ],
)
def test_who_is_over_a_limit_in_flight_has_missed_it(name: str, request_: Flying) -> None:
    meter = AttainmentMeter(0.0, slo(**{name: 10_000.0}))
    meter.on_finished(ended(0.1), 19.0)
    within = meter.all_windows([request_], SPANS_S, 20.0)
    assert within[Window.S10].within[name] == pytest.approx(0.5)
    assert within[Window.S10].within_all == pytest.approx(0.5)
    assert (within[Window.S10].ended, within[Window.S10].over_in_flight) == (1, 1)
    young = Flying(arrival_at_s=19.0, queued_at_s=19.0)
    assert meter.all_windows([young], SPANS_S, 20.0)[Window.S10].within[name] == 1.0


@given(st.lists(st.tuples(st.floats(0, 50), st.booleans()), max_size=30), st.floats(1, 60_000))
def test_the_waiting_are_judged_as_one_by_one(
    arrivals: list[tuple[float, bool]], limit_ms: float
) -> None:
    limits = slo(ttft=limit_ms, e2e=2 * limit_ms, queue=limit_ms / 2, tpot=limit_ms)
    requests = [
        Flying(at_s, at_s + 0.01, scheduled_at_s=at_s + 0.02 if begun else None)
        for at_s, begun in arrivals
    ]
    least = [at_least_s(request, 50.0) for request in requests]
    over = [
        {name for name in SLO_NAMES if (limits.limit_ms(name) or 1e99) < 1e3 * each.get(name, 0.0)}
        for each in least
    ]
    found = AttainmentMeter(0.0, limits).all_windows(requests, SPANS_S, 50.0)[Window.M1]
    assert found.over_in_flight == sum(map(bool, over))
    assert set(found.within) == set().union(*over)
    assert all(share == 0.0 for share in found.within.values())


def test_a_latency_that_a_request_does_not_have_breaks_no_limit() -> None:
    meter = AttainmentMeter(0.0, slo(ttft=500.0, e2e=500.0))
    hit = ended(0.1, ttft_s=None, tpot_s=None, queue_s=None, itl_s=np.empty(0))
    meter.on_finished(hit, 1.0)
    found = meter.all_windows((), SPANS_S, 2.0)[Window.S10]
    assert found.within == {"e2e": 1.0}
    assert found.within_all == 1.0


def test_the_longest_gap_is_held_against_the_limit_on_gaps() -> None:
    meter = AttainmentMeter(0.0, slo(itl=150.0))
    meter.on_finished(ended(itl_s=np.array([0.01] * 99 + [0.2])), 1.0)
    assert meter.all_windows((), SPANS_S, 1.5)[Window.S10].within == {"itl": 0.0}


def test_without_limits_nothing_is_judged() -> None:
    meter = AttainmentMeter(0.0, NO_LIMIT)
    meter.on_finished(ended(), 1.0)
    found = meter.all_windows([Flying()], SPANS_S, 99.0)[Window.M5]
    assert (found.within, found.within_all, found.goodput_per_s) == ({}, None, None)


def test_new_limits_judge_from_then_on() -> None:
    meter = AttainmentMeter(0.0, slo(ttft=50.0))
    meter.on_finished(ended(0.1), 1.0)
    meter.set_slo(slo(e2e=500.0), 2.0)
    assert meter.all_windows((), SPANS_S, 3.0)[Window.SESSION].within_all is None
    meter.on_finished(ended(0.1), 4.0)
    assert meter.all_windows((), SPANS_S, 4.0)[Window.SESSION].within == {"e2e": 1.0}
    assert meter.slo.e2e_ms == 500.0


def test_twenty_seconds_without_a_token_are_over_the_limits_that_ship() -> None:
    found = AttainmentMeter(0.0, SloSpec()).all_windows([Flying()], SPANS_S, 20.0)
    assert found[Window.S10].within == {"ttft": 0.0}
