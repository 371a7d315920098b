"""Ramps and bursts: the curve and its inverse, and what comes of them in a generator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prodtop.engine.load.generator import LoadGenerator
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.load.rate_curve import Bursts, Ramp, RateCurve
from prodtop.engine.protocol import BurstSpec, LoadSpec, RampSpec
from test_load_generator import due, end_all

RATES = st.floats(0.01, 500.0)
RAMPS = st.builds(Ramp, RATES | st.just(0.0), RATES, st.floats(0.1, 100.0))
BURSTS = st.builds(
    lambda base, burst, seconds, rest: Bursts(base, burst, seconds, seconds + rest),
    RATES | st.just(0.0),
    RATES,
    st.floats(0.1, 20.0),
    st.floats(0.1, 20.0),
)


@given(RAMPS | BURSTS, st.floats(0.0, 300.0))
def test_the_inverse_gives_the_moment_back(curve: RateCurve, at_s: float) -> None:
    """Or another one with as many arrivals, where none come for a while."""
    expected = curve.expected(at_s)
    (back_s,) = curve.times_s(np.array([expected])).tolist()
    assert curve.expected(back_s) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(RAMPS | BURSTS, st.lists(st.floats(0.0, 1e4), min_size=2, max_size=20))
def test_more_arrivals_take_longer(curve: RateCurve, expected: list[float]) -> None:
    times_s = curve.times_s(np.array(sorted(expected)))
    assert (np.diff(np.maximum.accumulate(times_s)) >= 0).all()
    assert (np.diff(times_s) > -1e-6 * (1 + times_s[1:])).all()


@given(RAMPS | BURSTS, st.floats(0.0, 200.0))
def test_the_curve_is_the_sum_of_its_rate(curve: RateCurve, end_s: float) -> None:
    """Against a sum over small steps, which knows of no formula."""
    # Steps in proportion to the time: the bend of a short ramp falls into a short one.
    steps = np.append(0.0, np.geomspace(1e-4, max(end_s, 1e-3), 4000))
    counts = np.array([curve.expected(float(each)) for each in steps])
    assert counts[0] == 0
    assert (np.diff(counts) >= -1e-9).all()
    if isinstance(curve, Ramp):
        rates = np.array([curve.rate(float(each)) for each in steps])
        assert counts[-1] == pytest.approx(np.trapezoid(rates, steps), rel=1e-2, abs=1e-2)


def arrivals(spec: LoadSpec, until_s: float, looks: int = 200) -> list[float]:
    """When requests arrive, looked for that often."""
    load = LoadGenerator(spec, bundled_prompts(), 0.0)
    times_s: list[float] = []
    for now_s in np.linspace(0.0, until_s, looks).tolist():
        times_s += [each.arrival_at_s for each in due(load, now_s)]
        end_all(load, now_s)
    return times_s


OPEN_RAMP = LoadSpec(rate_per_s=200.0, ramp=RampSpec(start=0.0, seconds=10.0))
BURSTY = LoadSpec(
    rate_per_s=0.0, burst=BurstSpec(rate_per_s=400.0, seconds=0.5, every_s=2.0), burstiness=4.0
)


def test_a_rate_rises_evenly_and_then_stays() -> None:
    times_s = np.array(arrivals(OPEN_RAMP, 20.0))
    counts, _ = np.histogram(times_s, bins=[0, 5, 10, 15, 20])
    assert counts == pytest.approx(np.array([250, 750, 1000, 1000]), rel=0.15)


def test_bursts_come_at_their_times_and_nothing_between() -> None:
    times_s = np.array(arrivals(BURSTY, 10.0))
    assert ((times_s % 2.0) <= 0.5 + 1e-9).all()
    counts, _ = np.histogram(times_s, bins=[0, 2, 4, 6, 8, 10])
    assert counts == pytest.approx(np.full(5, 200), rel=0.3)


@pytest.mark.parametrize("spec", [OPEN_RAMP, BURSTY], ids=["ramp", "bursts"])
def test_arrivals_are_the_same_whenever_somebody_looks(spec: LoadSpec) -> None:
    often, seldom = arrivals(spec, 12.0, 997), arrivals(spec, 12.0, 7)
    assert often == pytest.approx(seldom)
    assert often == sorted(often)


def test_users_come_one_after_the_other() -> None:
    load = LoadGenerator(
        LoadSpec(users=5, ramp=RampSpec(start=1.0, seconds=8.0)), bundled_prompts(), 0.0
    )
    came_s: list[float] = []
    due_s = load.next_due_s()
    while due_s is not None:
        came_s += [each.arrival_at_s for each in due(load, due_s)]
        due_s = load.next_due_s()
    assert came_s == pytest.approx([0.0, 2.0, 4.0, 6.0, 8.0])
    late = LoadGenerator(load.spec, bundled_prompts(), 0.0)
    assert [each.arrival_at_s for each in due(late, 7.0)] == pytest.approx([0.0, 2.0, 4.0, 6.0])


def test_users_leave_as_a_ramp_falls() -> None:
    spec = LoadSpec(users=1, ramp=RampSpec(start=4.0, seconds=6.0))
    load = LoadGenerator(spec, bundled_prompts(), 0.0)
    assert len(due(load, 0.0)) == 4
    for now_s, users in ((2.5, 2), (6.0, 1), (60.0, 1)):
        due(load, now_s)
        end_all(load, now_s)
        assert len(due(load, now_s)) == users


def test_more_load_goes_on_up_the_ramp_and_a_pause_begins_it_again() -> None:
    spec = LoadSpec(users=10, ramp=RampSpec(start=0.0, seconds=10.0))
    load = LoadGenerator(spec, bundled_prompts(), 0.0)
    assert len(due(load, 5.0)) == 5
    load.set_spec(replace(spec, users=20), 5.0)
    assert len(due(load, 5.0)) == 5
    assert load.in_flight == 10
    end_all(load, 6.0)
    load.set_spec(replace(load.spec, paused=True), 6.0)
    assert due(load, 8.0) == []
    load.set_spec(replace(load.spec, paused=False), 100.0)
    due(load, 101.0)
    assert load.in_flight == 2
