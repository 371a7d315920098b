"""The generator as a worker uses it: polled at any moment, changed while it runs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from prodtop.engine.load.generator import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, LoadGenerator
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.load.sequence import RequestSequence
from prodtop.engine.protocol import LoadSpec
from prodtop.engine.protocol.errors import BadInputError

PROMPTS = bundled_prompts()
CLOSED = LoadSpec(users=4)
OPEN = LoadSpec(rate_per_s=50.0)


def generator(spec: LoadSpec, limit: int | None = None) -> LoadGenerator:
    return LoadGenerator(spec, PROMPTS, 0.0, limit)


def end_all(load: LoadGenerator, now_s: float) -> None:
    for _ in range(load.in_flight):
        load.on_done(now_s)


# Closed loop


def test_each_user_has_one_request_in_the_system() -> None:
    load = generator(CLOSED)
    assert [arrival.arrival_at_s for arrival in load.due(0.0)] == [0.0] * 4
    assert load.due(10.0) == []
    assert load.next_due_s() is None
    load.on_done(11.0)
    assert [arrival.arrival_at_s for arrival in load.due(11.5)] == [11.0]
    assert load.in_flight == 4


def test_a_user_thinks_before_asking_again() -> None:
    load = generator(replace(CLOSED, think_s=2.0))
    load.due(0.0)
    load.on_done(5.0)
    load.on_done(4.0)
    assert load.next_due_s() == 6.0
    assert load.due(5.9) == []
    assert [arrival.arrival_at_s for arrival in load.due(7.5)] == [6.0, 7.0]


def refused_until(load: LoadGenerator, end_s: float) -> list[float]:
    """When requests arrived of which each was refused at once."""
    arrived_s: list[float] = []
    now_s = 0.0
    while now_s <= end_s:
        for arrival in load.due(now_s):
            arrived_s.append(arrival.arrival_at_s)
            load.on_rejected(now_s)
        due_s = load.next_due_s()
        assert due_s is not None
        assert due_s > now_s, "it spins"
        now_s = due_s
    return arrived_s


def test_users_who_are_refused_wait_twice_as_long_each_time() -> None:
    times_s = sorted(set(refused_until(generator(CLOSED), 60.0)))
    gaps_s = np.diff(times_s)
    doubling = [min(FIRST_BACKOFF_S * 2**n, LONGEST_BACKOFF_S) for n in range(len(gaps_s))]
    assert gaps_s == pytest.approx(doubling)
    assert gaps_s[-1] == LONGEST_BACKOFF_S


def test_all_users_wait_and_none_is_lost() -> None:
    load = generator(CLOSED)
    refused_until(load, 7.0)
    assert len(load.due(60.0)) == 4


def test_one_answer_ends_the_waiting() -> None:
    load = generator(CLOSED)
    refused_until(load, 7.0)
    load.due(60.0)
    load.on_done(61.0)
    assert load.next_due_s() == 61.0
    load.on_rejected(61.0)
    assert len(load.due(61.0)) == 1
    assert load.next_due_s() == pytest.approx(61.0 + FIRST_BACKOFF_S)


def test_a_limited_load_whose_requests_are_refused_comes_to_its_end() -> None:
    load = generator(CLOSED, limit=100)
    for _ in range(100):
        for _ in load.due(0.0):
            load.on_rejected(0.0)
    assert load.exhausted


def test_new_users_ask_at_once() -> None:
    load = generator(CLOSED)
    load.due(0.0)
    load.set_spec(replace(CLOSED, users=7), 3.0)
    assert [arrival.arrival_at_s for arrival in load.due(3.0)] == [3.0] * 3
    assert load.in_flight == 7


def test_surplus_users_leave_as_their_requests_end() -> None:
    load = generator(CLOSED)
    load.due(0.0)
    load.set_spec(replace(CLOSED, users=1), 1.0)
    assert load.in_flight == 4
    for at_s in (2.0, 3.0, 4.0):
        load.on_done(at_s)
        assert load.due(at_s) == []
    load.on_done(5.0)
    assert len(load.due(5.0)) == 1


def test_users_who_think_leave_before_those_who_wait() -> None:
    spec = replace(CLOSED, think_s=5.0)
    load = generator(spec)
    load.due(0.0)
    load.on_done(1.0)
    load.on_done(2.0)
    load.set_spec(replace(spec, users=3), 3.0)
    assert [arrival.arrival_at_s for arrival in load.due(100.0)] == [6.0]
    assert load.in_flight == 3


def test_no_users_is_no_load() -> None:
    load = generator(replace(CLOSED, users=0))
    assert load.due(100.0) == []
    assert load.next_due_s() is None


@settings(deadline=None)
@given(st.integers(1, 8), st.lists(st.tuples(st.booleans(), st.integers(0, 10)), max_size=60))
def test_requests_in_flight_follow_the_users_whatever_happens(
    users: int, events: list[tuple[bool, int]]
) -> None:
    """Ends and changes of the number of users in any order: never more asked than allowed."""
    load = generator(replace(CLOSED, users=users))
    allowed = users
    for index, (changes, wanted) in enumerate(events):
        now_s = float(index)
        if changes:
            load.set_spec(replace(CLOSED, users=wanted), now_s)
            allowed = max(wanted, load.in_flight)
        elif load.in_flight:
            load.on_done(now_s)
            allowed = max(load.spec.users, load.in_flight)
        load.due(now_s)
        assert load.spec.users <= load.in_flight <= allowed


# Open loop


def test_open_arrivals_come_by_schedule_and_not_by_polling() -> None:
    often, seldom = generator(OPEN), generator(OPEN)
    fine = [arrival for tick in range(2001) for arrival in often.due(tick / 100)]
    coarse = [arrival for tick in range(3) for arrival in seldom.due(tick * 10.0)]
    assert fine == coarse
    times_s = [arrival.arrival_at_s for arrival in fine]
    assert times_s == sorted(times_s)
    assert len(set(times_s)) == len(times_s)
    assert len(times_s) == pytest.approx(1000, rel=0.1)


def test_open_arrivals_do_not_wait_for_ends() -> None:
    load = generator(OPEN)
    load.due(10.0)
    assert load.in_flight == load.made > 400
    end_all(load, 10.0)
    assert load.due(10.0) == []


def test_the_next_arrival_is_announced() -> None:
    load = generator(OPEN)
    for _ in range(50):
        next_s = load.next_due_s()
        assert next_s is not None
        assert load.due(np.nextafter(next_s, 0.0)) == []
        assert [arrival.arrival_at_s for arrival in load.due(next_s)] == [next_s]


def test_a_new_rate_holds_from_now_on() -> None:
    load = generator(OPEN)
    load.due(10.0)
    load.set_spec(replace(OPEN, rate_per_s=500.0), 10.0)
    faster = load.due(20.0)
    assert len(faster) == pytest.approx(5000, rel=0.05)
    assert min(arrival.arrival_at_s for arrival in faster) > 10.0


def test_another_setting_leaves_the_schedule_alone() -> None:
    changed, unchanged = generator(OPEN), generator(OPEN)
    changed.due(1.0)
    unchanged.due(1.0)
    changed.set_spec(replace(OPEN, temperature=1.0), 1.0)
    assert changed.next_due_s() == unchanged.next_due_s()


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(BadInputError, match="rate_per_s must be a number above 0"):
        generator(replace(OPEN, rate_per_s=0.0))


# Changes between the loops, pauses, limits


def test_from_closed_to_open_and_back() -> None:
    load = generator(CLOSED)
    load.due(0.0)
    load.set_spec(OPEN, 1.0)
    assert load.in_flight == 4
    opened = load.due(3.0)
    assert len(opened) == pytest.approx(100, rel=0.4)
    assert all(1.0 < arrival.arrival_at_s <= 3.0 for arrival in opened)
    load.set_spec(CLOSED, 3.0)
    assert load.due(4.0) == []
    while load.in_flight > 4:
        load.on_done(5.0)
    assert load.due(5.0) == []
    load.on_done(6.0)
    assert [arrival.arrival_at_s for arrival in load.due(6.0)] == [6.0]


@pytest.mark.parametrize("spec", [CLOSED, OPEN], ids=["closed", "open"])
def test_a_pause_stops_arrivals_and_leaves_no_backlog(spec: LoadSpec) -> None:
    load = generator(spec)
    load.due(1.0)
    load.set_spec(replace(spec, paused=True), 1.0)
    end_all(load, 2.0)
    assert load.due(50.0) == []
    assert load.next_due_s() is None
    load.set_spec(spec, 60.0)
    resumed = load.due(61.0)
    assert 4 <= len(resumed) < 100
    assert all(arrival.arrival_at_s >= 60.0 for arrival in resumed)


def test_users_added_during_a_pause_ask_when_it_ends() -> None:
    load = generator(replace(CLOSED, paused=True))
    load.set_spec(replace(CLOSED, users=6, paused=True), 5.0)
    assert load.due(6.0) == []
    load.set_spec(replace(CLOSED, users=6), 10.0)
    assert [arrival.arrival_at_s for arrival in load.due(10.0)] == [10.0] * 6


@pytest.mark.parametrize("spec", [CLOSED, OPEN], ids=["closed", "open"])
def test_a_limit_ends_the_load(spec: LoadSpec) -> None:
    load = generator(spec, limit=10)
    made = []
    for second in range(20):
        made += load.due(float(second))
        end_all(load, float(second))
    assert len(made) == load.made == 10
    assert load.exhausted
    assert load.next_due_s() is None


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.0, 3.0), min_size=40, max_size=40), st.integers(0, 20))
def test_the_sequence_does_not_depend_on_timing(services_s: list[float], seed: int) -> None:
    """However long each request takes, the same requests come in the same order."""
    spec = replace(CLOSED, seed=seed, think_s=0.1, temperature=1.0)
    load = generator(spec, limit=40)
    ends_s: list[float] = []
    made = []
    now_s = 0.0
    while not load.exhausted or load.in_flight:
        for arrival in load.due(now_s):
            ends_s.append(now_s + services_s[arrival.number])
            made.append(arrival)
        upcoming = [at_s for at_s in (load.next_due_s(), *ends_s) if at_s is not None]
        now_s = max(now_s, min(upcoming, default=now_s))
        for end_s in [each for each in ends_s if each <= now_s]:
            ends_s.remove(end_s)
            load.on_done(now_s)
    expected = RequestSequence(spec, PROMPTS).fixed(40, 0.0)
    assert [(a.number, a.prompt_index, a.max_tokens, a.seed) for a in made] == [
        (a.number, a.prompt_index, a.max_tokens, a.seed) for a in expected
    ]


def test_an_impossible_change_changes_nothing() -> None:
    load, untouched = generator(OPEN), generator(OPEN)
    with pytest.raises(BadInputError, match="burstiness"):
        load.set_spec(replace(OPEN, burstiness=0.0), 0.5)
    assert load.spec == OPEN
    assert load.due(5.0) == untouched.due(5.0)


def test_an_end_without_a_request_is_refused() -> None:
    with pytest.raises(ValueError, match="in flight"):
        generator(CLOSED).on_done(1.0)
