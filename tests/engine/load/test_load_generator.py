"""The generator as a worker uses it: polled at any moment, changed while it runs."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from prodtop.engine.load.generator import (
    FIRST_BACKOFF_S,
    LONGEST_BACKOFF_S,
    MOST_DUE,
    LoadGenerator,
)
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.load.sequence import Arrival, RequestSequence
from prodtop.engine.protocol import LoadSpec
from prodtop.engine.protocol.errors import BadInputError

PROMPTS = bundled_prompts()
CLOSED = LoadSpec(users=4)
OPEN = LoadSpec(rate_per_s=50.0)


def generator(spec: LoadSpec, limit: int | None = None) -> LoadGenerator:
    return LoadGenerator(spec, PROMPTS, 0.0, limit)


def due(load: LoadGenerator, now_s: float, room: int | None = None) -> list[Arrival]:
    """All that has arrived by now."""
    load.arrive(now_s, room)
    return list(iter(partial(load.take, now_s), None))


def end_all(load: LoadGenerator, now_s: float) -> None:
    for _ in range(load.in_flight):
        load.on_done(now_s)


# Closed loop


def test_each_user_has_one_request_in_the_system() -> None:
    load = generator(CLOSED)
    assert [arrival.arrival_at_s for arrival in due(load, 0.0)] == [0.0] * 4
    assert due(load, 10.0) == []
    assert load.next_due_s() is None
    load.on_done(11.0)
    assert [arrival.arrival_at_s for arrival in due(load, 11.5)] == [11.0]
    assert load.in_flight == 4


def test_a_user_thinks_before_asking_again() -> None:
    load = generator(replace(CLOSED, think_s=2.0))
    due(load, 0.0)
    load.on_done(5.0)
    load.on_done(4.0)
    assert load.next_due_s() == 6.0
    assert due(load, 5.9) == []
    assert [arrival.arrival_at_s for arrival in due(load, 7.5)] == [6.0, 7.0]


def refused_until(load: LoadGenerator, end_s: float) -> list[float]:
    """When requests arrived of which each was refused at once."""
    arrived_s: list[float] = []
    now_s = 0.0
    while now_s <= end_s:
        for arrival in due(load, now_s):
            arrived_s.append(arrival.arrival_at_s)
            load.on_refused(now_s)
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
    assert len(due(load, 60.0)) == 4


def test_one_answer_ends_the_waiting() -> None:
    load = generator(CLOSED)
    refused_until(load, 7.0)
    due(load, 60.0)
    load.on_done(61.0)
    assert load.next_due_s() == 61.0
    load.on_refused(61.0)
    assert len(due(load, 61.0)) == 1
    assert load.next_due_s() == pytest.approx(61.0 + FIRST_BACKOFF_S)


def test_a_limited_load_whose_requests_are_refused_comes_to_its_end() -> None:
    load = generator(CLOSED, limit=100)
    for _ in range(100):
        for _ in due(load, 0.0):
            load.on_refused(0.0)
    assert load.exhausted


def test_new_users_ask_at_once() -> None:
    load = generator(CLOSED)
    due(load, 0.0)
    load.set_spec(replace(CLOSED, users=7), 3.0)
    assert [arrival.arrival_at_s for arrival in due(load, 3.0)] == [3.0] * 3
    assert load.in_flight == 7


def test_surplus_users_leave_as_their_requests_end() -> None:
    load = generator(CLOSED)
    due(load, 0.0)
    load.set_spec(replace(CLOSED, users=1), 1.0)
    assert load.in_flight == 4
    for at_s in (2.0, 3.0, 4.0):
        load.on_done(at_s)
        assert due(load, at_s) == []
    load.on_done(5.0)
    assert len(due(load, 5.0)) == 1


def test_users_who_think_leave_before_those_who_wait() -> None:
    spec = replace(CLOSED, think_s=5.0)
    load = generator(spec)
    due(load, 0.0)
    load.on_done(1.0)
    load.on_done(2.0)
    load.set_spec(replace(spec, users=3), 3.0)
    assert [arrival.arrival_at_s for arrival in due(load, 100.0)] == [6.0]
    assert load.in_flight == 3


def test_no_users_is_no_load() -> None:
    load = generator(replace(CLOSED, users=0))
    assert due(load, 100.0) == []
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
        due(load, now_s)
        assert load.spec.users <= load.in_flight <= allowed


# Open loop


def test_open_arrivals_come_by_schedule_and_not_by_polling() -> None:
    often, seldom = generator(OPEN), generator(OPEN)
    fine = [arrival for tick in range(2001) for arrival in due(often, tick / 100)]
    coarse = [arrival for tick in range(3) for arrival in due(seldom, tick * 10.0)]
    assert fine == coarse
    times_s = [arrival.arrival_at_s for arrival in fine]
    assert times_s == sorted(times_s)
    assert len(set(times_s)) == len(times_s)
    assert len(times_s) == pytest.approx(1000, rel=0.1)


def test_open_arrivals_do_not_wait_for_ends() -> None:
    load = generator(OPEN)
    due(load, 10.0)
    assert load.in_flight == load.made > 400
    end_all(load, 10.0)
    assert due(load, 10.0) == []


def test_the_next_arrival_is_announced() -> None:
    load = generator(OPEN)
    for _ in range(50):
        next_s = load.next_due_s()
        assert next_s is not None
        assert due(load, np.nextafter(next_s, 0.0)) == []
        assert [arrival.arrival_at_s for arrival in due(load, next_s)] == [next_s]


def test_a_new_rate_holds_from_now_on() -> None:
    load = generator(OPEN)
    due(load, 10.0)
    load.set_spec(replace(OPEN, rate_per_s=500.0), 10.0)
    faster = due(load, 20.0)
    assert len(faster) == pytest.approx(5000, rel=0.05)
    assert min(arrival.arrival_at_s for arrival in faster) > 10.0


def test_another_setting_leaves_the_schedule_alone() -> None:
    changed, unchanged = generator(OPEN), generator(OPEN)
    due(changed, 1.0)
    due(unchanged, 1.0)
    changed.set_spec(replace(OPEN, temperature=1.0), 1.0)
    assert changed.next_due_s() == unchanged.next_due_s()


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(BadInputError, match="rate_per_s must be a number above 0"):
        generator(replace(OPEN, rate_per_s=0.0))


# A full queue


FLOOD = replace(OPEN, rate_per_s=20_000.0)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.floats(0.0, 0.3), st.integers(0, 300), st.integers(0, 400), st.booleans()),
        min_size=1,
        max_size=20,
    ),
    st.none() | st.integers(1, 5000),
)
def test_every_arrival_of_a_flood_is_taken_or_rejected(
    looks: list[tuple[float, int, int, bool]], limit: int | None
) -> None:
    """Never more wait to be taken than there is room for, and the order of numbers is kept."""
    load = generator(FLOOD, limit)
    taken: list[Arrival] = []
    left = 0
    now_s = 0.0
    for later_s, room, most, finds_none in looks:
        now_s, before = now_s + later_s, left
        load.arrive(now_s, room)
        assert load.made - load.rejected - len(taken) <= max(room, before)
        got = [a for a in (load.take(now_s) for _ in range(most)) if a is not None]
        if finds_none and got:
            load.reject_taken()
            got.pop()
        taken += got
        left = load.made - load.rejected - len(taken)
        assert left >= 0
        assert load.in_flight == len(taken) + left
    assert [a.number for a in taken] == sorted({a.number for a in taken})
    assert all(a.number < load.made for a in taken)
    if limit is None:
        assert load.made == pytest.approx(20_000 * now_s, rel=0.2, abs=100)
    else:
        assert load.made <= limit


def test_a_look_counts_no_more_than_its_most_and_the_next_goes_on() -> None:
    load = generator(replace(OPEN, rate_per_s=1e5))
    load.arrive(60.0, room=0)
    assert load.made == load.rejected == MOST_DUE
    next_s = load.next_due_s()
    assert next_s is not None
    assert next_s < 60.0
    for _ in range(8):
        load.arrive(60.0, room=0)
    next_s = load.next_due_s()
    assert next_s is not None
    assert next_s > 60.0
    assert load.made == pytest.approx(6e6, rel=0.01)


def test_which_requests_come_does_not_depend_on_what_was_rejected() -> None:
    load = generator(FLOOD)
    taken = []
    for tick in range(1, 40):
        taken += due(load, tick / 50, room=3)
    assert load.rejected > 10_000
    sequence = RequestSequence(FLOOD, PROMPTS)
    assert taken == [sequence.draw(a.number, a.arrival_at_s) for a in taken]


# Changes between the loops, pauses, limits


def test_from_closed_to_open_and_back() -> None:
    load = generator(CLOSED)
    due(load, 0.0)
    load.set_spec(OPEN, 1.0)
    assert load.in_flight == 4
    opened = due(load, 3.0)
    assert len(opened) == pytest.approx(100, rel=0.4)
    assert all(1.0 < arrival.arrival_at_s <= 3.0 for arrival in opened)
    load.set_spec(CLOSED, 3.0)
    assert due(load, 4.0) == []
    while load.in_flight > 4:
        load.on_done(5.0)
    assert due(load, 5.0) == []
    load.on_done(6.0)
    assert [arrival.arrival_at_s for arrival in due(load, 6.0)] == [6.0]


@pytest.mark.parametrize("spec", [CLOSED, OPEN], ids=["closed", "open"])
def test_a_pause_stops_arrivals_and_leaves_no_backlog(spec: LoadSpec) -> None:
    load = generator(spec)
    due(load, 1.0)
    load.set_spec(replace(spec, paused=True), 1.0)
    end_all(load, 2.0)
    assert due(load, 50.0) == []
    assert load.next_due_s() is None
    load.set_spec(spec, 60.0)
    resumed = due(load, 61.0)
    assert 4 <= len(resumed) < 100
    assert all(arrival.arrival_at_s >= 60.0 for arrival in resumed)


def test_users_added_during_a_pause_ask_when_it_ends() -> None:
    load = generator(replace(CLOSED, paused=True))
    load.set_spec(replace(CLOSED, users=6, paused=True), 5.0)
    assert due(load, 6.0) == []
    load.set_spec(replace(CLOSED, users=6), 10.0)
    assert [arrival.arrival_at_s for arrival in due(load, 10.0)] == [10.0] * 6


@pytest.mark.parametrize("spec", [CLOSED, OPEN], ids=["closed", "open"])
def test_a_limit_ends_the_load(spec: LoadSpec) -> None:
    load = generator(spec, limit=10)
    made = []
    for second in range(20):
        made += due(load, float(second))
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
        for arrival in due(load, now_s):
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
    assert due(load, 5.0) == due(untouched, 5.0)


def test_an_end_without_a_request_is_refused() -> None:
    with pytest.raises(ValueError, match="in flight"):
        generator(CLOSED).on_done(1.0)
