"""The memory of the screen: what it keeps, how it thins, and how one walks through it."""

import math

import numpy as np
import pytest
from frames import EPOCH_S, frame, host
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from prodtop.tui.state.history import BOUND_EVERY, MAX_MARKS, History, Mark

TINY = ((0.0, 16), (1.0, 24), (10.0, 8))


def filled(
    seconds: float, *, hz: float = 4.0, tiers: tuple[tuple[float, int], ...] = TINY
) -> History:
    history = History(tiers)
    for index in range(int(seconds * hz)):
        second = index / hz
        history.add(EPOCH_S + second, frame(second), host(second))
    return history


def test_a_moment_comes_back_as_it_was() -> None:
    history = filled(3)
    kept = history.at(EPOCH_S + 1.6)
    assert kept is not None
    assert kept.wall_s == EPOCH_S + 1.5
    assert kept.frame == frame(1.5)
    assert kept.host == host(1.5)


def test_before_the_beginning_stands_the_oldest_moment() -> None:
    kept = filled(2).at(0.0)
    assert kept is not None
    assert kept.wall_s == EPOCH_S


def test_an_empty_history_has_no_moment() -> None:
    history = History()
    assert history.at(EPOCH_S) is None
    assert history.oldest_s is None
    assert history.newest_s is None
    assert len(history.series("decode_tok_s", 0.0, math.inf).times_s) == 0


def test_a_long_session_stays_bounded_and_keeps_both_ends_of_its_span() -> None:
    history = filled(400)
    assert len(history) <= sum(capacity for _, capacity in TINY) + 8
    assert history.newest_s == EPOCH_S + 399.75
    oldest = history.oldest_s
    assert oldest is not None
    assert EPOCH_S < oldest < EPOCH_S + 400 - 45


@settings(deadline=None, max_examples=40)
@given(values=st.lists(st.floats(0.0, 1e6), min_size=30, max_size=200), hz=st.integers(1, 8))
def test_thinning_keeps_every_peak_and_every_growth(values: list[float], hz: int) -> None:
    """The least and the greatest value of each second, and of each ten, however old it is."""
    history = History(((0.0, 8), (1.0, 12), (10.0, 1000)))
    times_s = [EPOCH_S + index / hz for index in range(len(values))]
    for index, (time_s, value) in enumerate(zip(times_s, values, strict=True)):
        then = frame(0)
        then = replace(
            then,
            throughput=replace(then.throughput, decode_tok_s=value),
            generated_tokens_total=index,
        )
        history.add(time_s, then, None)
    gauge = history.series("decode_tok_s", 0.0, math.inf)
    counter = history.series("generated_tokens", 0.0, math.inf)
    assert len(history) < len(values) or len(values) < 40 or hz < 3
    for width_s in (10.0, 1000.0):
        for start_s in {time_s // width_s for time_s in times_s}:
            were = [v for t, v in zip(times_s, values, strict=True) if t // width_s == start_s]
            kept = [
                v
                for t, v in zip(gauge.times_s, gauge.values, strict=True)
                if t // width_s == start_s
            ]
            assert (min(kept), max(kept)) == (min(were), max(were))
    assert (counter.values[0], counter.values[-1]) == (0, len(values) - 1)
    assert list(counter.values) == sorted(counter.values)


def test_moments_are_bounded_in_bytes_and_the_newest_stay() -> None:
    history = History(TINY, most_moment_bytes=60_000)
    for index in range(2_000):
        history.add(EPOCH_S + index / 4, frame(index / 4), host(index / 4))
        assert history.moment_bytes <= 60_000 + BOUND_EVERY * 4_000
    newest = history.at(EPOCH_S + 499.75)
    assert newest is not None
    assert newest.frame == frame(499.75)
    oldest = history.at(EPOCH_S)
    assert oldest is not None
    assert oldest.frame is not None, "where moments were forgotten the nearest one stands"


@settings(deadline=None, max_examples=40)
@given(steps=st.lists(st.floats(0.01, 30.0), min_size=1, max_size=120))
def test_series_are_in_order_of_time_whatever_the_spacing(steps: list[float]) -> None:
    history = History(TINY)
    now = EPOCH_S
    for step in steps:
        now += step
        history.add(now, None, host(0))
    series = history.series("cpu", 0.0, math.inf)
    assert len(series.times_s) == len(history)
    assert bool((np.diff(series.times_s) > 0).all())


def test_a_clock_set_back_does_not_turn_time_around() -> None:
    history = History()
    history.add(EPOCH_S, frame(0), None)
    history.add(EPOCH_S - 100, frame(1), None)
    times = history.series("decode_tok_s", 0.0, math.inf).times_s
    assert bool((np.diff(times) > 0).all())


def test_what_was_not_measured_is_a_gap() -> None:
    history = History()
    history.add(EPOCH_S, None, host(0))
    assert np.isnan(history.series("decode_tok_s", 0.0, math.inf).values).all()


def test_a_counter_that_started_anew_has_no_increase() -> None:
    history = History()
    for second, tokens in ((0, 100), (1, 150), (2, 5)):
        history.add(EPOCH_S + second, frame(tokens / 17_900), None)
    assert history.increase("generated_tokens", EPOCH_S + 1, 10) == pytest.approx(50, abs=1)
    assert history.increase("generated_tokens", EPOCH_S + 2, 10) is None


def test_marks_are_found_by_time_and_bounded() -> None:
    history = History()
    for second in range(MAX_MARKS + 10):
        history.mark(Mark(EPOCH_S + second, str(second)))
    assert [mark.label for mark in history.marks(EPOCH_S + 50, EPOCH_S + 51)] == ["50", "51"]
    assert history.marks(EPOCH_S, EPOCH_S + 9) == []
