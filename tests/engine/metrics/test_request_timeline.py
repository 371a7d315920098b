"""Timelines of made-up requests; those of scheduled ones are checked where they are scheduled."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.metrics.request_timeline import (
    Mark,
    MarkKind,
    condensed,
    intervals,
    longest_gap,
    token_counts,
)
from prodtop.engine.protocol import IntervalKind, TimelineInterval


@dataclass
class Told:
    """A request as the scheduler and the clock left it."""

    arrival_at_s: float = 100.0
    queued_at_s: float | None = 100.5
    last_token_at_s: float | None = None
    token_times_s: list[float] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


def kinds(request: Told, end_s: float) -> list[tuple[IntervalKind, int, int]]:
    return [(each.kind, each.length_us, each.tokens) for each in intervals(request, end_s)]


def test_a_life_in_its_order() -> None:
    request = Told(
        token_times_s=[103.0, 103.5, 106.0, 106.25],
        marks=[
            Mark(MarkKind.ADMITTED, 101.0),
            Mark(MarkKind.CHUNK, 101.0, 512),
            Mark(MarkKind.CHUNK, 102.0, 88),
            Mark(MarkKind.PREEMPTED, 104.0),
            Mark(MarkKind.ADMITTED, 105.0),
            Mark(MarkKind.CHUNK, 105.0, 602),
        ],
    )
    second = 1_000_000
    assert kinds(request, 106.25) == [
        (IntervalKind.ARRIVING, second // 2, 0),
        (IntervalKind.QUEUED, second // 2, 0),
        (IntervalKind.PREFILL, second, 512),
        (IntervalKind.PREFILL, second, 88),
        (IntervalKind.DECODE, second, 2),
        (IntervalKind.PREEMPTED, second, 0),
        (IntervalKind.PREFILL, second, 602),
        (IntervalKind.DECODE, second // 4, 2),
    ]
    assert longest_gap(request) == (103.5, 2.5)


def test_a_gang_member_waits_for_its_first_chunk_among_the_running() -> None:
    request = Told(marks=[Mark(MarkKind.ADMITTED, 101.0), Mark(MarkKind.CHUNK, 102.0, 64)])
    assert kinds(request, 103.0)[2:] == [
        (IntervalKind.PREFILL, 1_000_000, 0),
        (IntervalKind.PREFILL, 1_000_000, 64),
    ]


def test_a_response_hit_is_one_interval_and_a_waiting_request_two() -> None:
    assert kinds(Told(queued_at_s=None), 100.002) == [(IntervalKind.CACHED, 2_000, 0)]
    assert [kind for kind, *_ in kinds(Told(), 104.0)] == [
        IntervalKind.ARRIVING,
        IntervalKind.QUEUED,
    ]


@given(st.lists(st.floats(0.0, 9.0), min_size=1, max_size=200), st.integers(1, 50))
def test_every_token_counts_once_wherever_it_came(times_s: list[float], parts: int) -> None:
    request = Told(token_times_s=[100.0 + each for each in sorted(times_s)])
    counts = token_counts(request, request.token_times_s[-1], parts)
    assert len(counts) == parts
    assert sum(counts) == len(times_s)


def test_without_tokens_there_are_no_counts_and_no_gap() -> None:
    assert token_counts(Told(), 104.0) == []
    assert longest_gap(Told(token_times_s=[101.0])) is None


@given(
    st.lists(
        st.tuples(st.sampled_from(IntervalKind), st.integers(0, 10_000)), min_size=1, max_size=400
    ),
    st.integers(1, 60),
)
def test_many_intervals_are_told_as_fewer_that_add_up_to_the_same(
    pieces: list[tuple[IntervalKind, int]], most: int
) -> None:
    every, at_us = [], 0
    for kind, length_us in pieces:
        every.append(TimelineInterval(kind=kind, start_us=at_us, length_us=length_us))
        at_us += length_us
    fewer = condensed(every, most)
    assert len(fewer) <= most
    assert fewer == every or len(every) > most
    place = 0
    for each in fewer:
        assert each.start_us == place
        place = each.end_us
    assert place == at_us


@pytest.mark.parametrize("end_s", [99.0, 100.2])
def test_a_clock_that_lags_makes_no_negative_interval(end_s: float) -> None:
    assert all(length_us >= 0 for _, length_us, _ in kinds(Told(), end_s))
