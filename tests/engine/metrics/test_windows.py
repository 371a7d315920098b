"""Windows, counters and integrals against the plain lists of events they stand for."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from of_our_own import known
from prodtop.engine.metrics.latency import percentiles
from prodtop.engine.metrics.windows import (
    COUNTER_BIN_S,
    HISTOGRAM_BIN_S,
    WindowedCounter,
    WindowedHistogram,
    WindowedIntegral,
)
from prodtop.engine.protocol import WINDOW_SECONDS, Window

START_S = 1000.0


@st.composite
def timelines(draw: st.DrawFn) -> list[float]:
    """Moments in order, never on the edge of a bin, with gaps from nothing to minutes."""
    gaps = draw(
        st.lists(
            st.one_of(st.integers(0, 30), st.integers(0, 1500), st.integers(0, 40_000)),
            min_size=1,
            max_size=40,
        )
    )
    return [START_S + 0.005 + 0.01 * ticks for ticks in np.cumsum(gaps).tolist()]


@settings(deadline=None)
@given(timelines())
def test_a_window_holds_what_is_young_and_nothing_that_is_old(timeline: list[float]) -> None:
    histogram = WindowedHistogram()
    for step, now_s in enumerate(timeline):
        histogram.add(1.0 + step, now_s)
        for window in WINDOW_SECONDS:
            view = histogram.view(window, now_s)
            ages = [now_s - at_s for at_s in timeline[: step + 1]]
            width_s = WINDOW_SECONDS[window]
            at_least = sum(age < width_s - HISTOGRAM_BIN_S for age in ages)
            at_most = sum(age < width_s for age in ages)
            assert at_least <= view.count <= at_most
            # What is left is the newest: its sum is known from how many there are.
            newest = [1.0 + each for each in range(step + 1)][step + 1 - view.count :]
            assert view.total_s == pytest.approx(math.fsum(newest))
            assert view.quantiles([0.0, 1.0]) == [min(newest), max(newest)]
            assert view.mean_s == pytest.approx(float(np.mean(newest)))


@settings(deadline=None)
@given(timelines(), st.lists(st.floats(0.0, 100.0), min_size=40, max_size=40))
def test_the_figures_of_every_window_agree(timeline: list[float], durations: list[float]) -> None:
    histogram = WindowedHistogram()
    for now_s, duration_s in zip(timeline, durations, strict=False):
        histogram.add(duration_s, now_s)
        for window in WINDOW_SECONDS:
            found = percentiles(histogram.view(window, now_s))
            assert found is not None
            rising = [known(each) for each in (found.p50_ms, found.p95_ms, found.p99_ms)]
            assert rising == sorted(rising)
            if found.count == 1:
                assert {found.mean_ms, *rising} == {duration_s * 1e3}


def test_a_window_empties_when_nothing_arrives() -> None:
    histogram = WindowedHistogram()
    histogram.add_many(np.array([0.1, 0.2]), START_S)
    left = {
        after_s: [histogram.view(window, START_S + after_s).count for window in WINDOW_SECONDS]
        for after_s in (0.0, 9.0, 11.0, 61.0, 301.0, 86_400.0)
    }
    assert left == {
        0.0: [2, 2, 2, 2],
        9.0: [2, 2, 2, 2],
        11.0: [0, 2, 2, 2],
        61.0: [0, 0, 2, 2],
        301.0: [0, 0, 0, 2],
        86_400.0: [0, 0, 0, 2],
    }


def test_a_late_sample_counts_as_of_now() -> None:
    histogram = WindowedHistogram()
    histogram.add(0.1, START_S)
    histogram.add(0.2, START_S - 30.0)
    assert histogram.view(Window.S10, START_S).count == 2


def test_a_large_sum_leaves_no_rounding_behind() -> None:
    histogram = WindowedHistogram()
    large = np.random.default_rng(2).uniform(1e3, 1e4, size=(200, 7))
    for number, durations_s in enumerate(large):
        histogram.add_many(durations_s, START_S + number * HISTOGRAM_BIN_S)
    later_s = START_S + 200 * HISTOGRAM_BIN_S
    for number in range(40):
        histogram.add(1.1e-6, later_s + number * HISTOGRAM_BIN_S)
    view = histogram.view(Window.S10, later_s + 40 * HISTOGRAM_BIN_S)
    assert view.total_s == pytest.approx(view.count * 1.1e-6, rel=1e-12)


@settings(deadline=None)
@given(timelines(), st.floats(min_value=COUNTER_BIN_S, max_value=300.0))
def test_a_count_over_a_span_is_the_events_in_the_time_it_covers(
    timeline: list[float], span_s: float
) -> None:
    counter = WindowedCounter(START_S)
    for step, now_s in enumerate(timeline):
        counter.add(step + 1, now_s)
        amount, covered_s = counter.over(span_s, now_s)
        expected = sum(
            each + 1
            for each, at_s in enumerate(timeline[: step + 1])
            if at_s >= now_s - covered_s - 1e-9
        )
        assert amount == expected
        assert covered_s <= span_s + 1e-9
        assert covered_s >= min(span_s - COUNTER_BIN_S, now_s - START_S) - 1e-9


@settings(deadline=None)
@given(timelines(), st.data())
def test_a_count_between_two_moments_is_the_events_between_its_bins(
    timeline: list[float], data: st.DataObject
) -> None:
    counter = WindowedCounter(START_S)
    for at_s in timeline:
        counter.add(1, at_s)
    now_s = timeline[-1]
    kept_from_s = max(START_S, now_s - 300.0)
    from_s = data.draw(st.floats(kept_from_s, now_s))
    to_s = data.draw(st.floats(from_s, now_s))
    amount, covered_s = counter.between(from_s, to_s, now_s)
    at_least = sum(from_s + COUNTER_BIN_S <= at <= to_s - COUNTER_BIN_S for at in timeline)
    assert at_least <= amount <= sum(from_s <= at <= to_s for at in timeline)
    assert 0.0 <= covered_s <= to_s - from_s + 1e-9


def test_a_steady_stream_has_its_rate_whatever_the_phase() -> None:
    counter = WindowedCounter(START_S)
    seen: set[float] = set()
    for tick in range(5000):
        now_s = START_S + 0.005 + tick / 100
        counter.add(7, now_s)
        if tick > 200 and tick % 13 == 0:
            seen.add(counter.rate(1.0, now_s))
    assert all(rate == pytest.approx(700.0, rel=0.02) for rate in seen)


def test_a_rate_falls_to_nothing_when_nothing_comes() -> None:
    counter = WindowedCounter(START_S)
    counter.add(1000, START_S + 0.5)
    assert counter.rate(1.0, START_S + 0.6) > 0.0
    assert counter.rate(1.0, START_S + 2.0) == 0.0
    assert counter.rate(math.inf, START_S + 100.0) == pytest.approx(10.0)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.001, 5.0), st.floats(0.0, 5.0)), min_size=1, max_size=30),
    st.floats(0.2, 60.0),
)
def test_what_came_over_a_time_counts_where_it_came(
    steps: list[tuple[float, float]], span_s: float
) -> None:
    """Steps of some length after idle times, each of as much a second."""
    counter = WindowedCounter(START_S)
    now_s, intervals = START_S, []
    for length_s, idle_s in steps:
        began_s = now_s + idle_s
        now_s = began_s + length_s
        counter.add_over(100.0 * length_s, began_s, now_s)
        intervals.append((began_s, now_s))
        amount, covered_s = counter.over(span_s, now_s)
        from_s = now_s - covered_s
        busy_s = math.fsum(max(0.0, end - max(begin, from_s)) for begin, end in intervals)
        assert amount == pytest.approx(100.0 * busy_s, abs=1e-4)
        assert amount <= 100.0 * covered_s + 1e-4
    assert counter.total == pytest.approx(math.fsum(100.0 * length_s for length_s, _ in steps))


def test_a_span_longer_than_what_is_kept_is_refused() -> None:
    counter = WindowedCounter(START_S, capacity_s=10.0)
    counter.add(1, START_S + 100.0)
    assert counter.over(10.0, START_S + 100.0)[0] == 1
    with pytest.raises(ValueError, match="10 s"):
        counter.over(20.0, START_S + 100.0)


@settings(deadline=None)
@given(timelines(), st.floats(min_value=1.0, max_value=300.0))
def test_an_integral_is_the_area_under_its_steps(timeline: list[float], span_s: float) -> None:
    integral = WindowedIntegral(START_S)
    edges = [(START_S, 0.0)]
    for step, now_s in enumerate(timeline):
        integral.set_level(step % 5, now_s)
        edges.append((now_s, float(step % 5)))
    now_s = timeline[-1] + 1.234
    edges.append((now_s, 0.0))
    area, covered_s = integral.over(span_s, now_s)
    from_s = now_s - covered_s
    expected = math.fsum(
        level * max(0.0, end_s - max(begin_s, from_s))
        for (begin_s, level), (end_s, _) in pairwise(edges)
    )
    assert area == pytest.approx(expected, abs=1e-6)
    assert integral.mean(span_s, now_s) == pytest.approx(expected / covered_s, abs=1e-6)


def test_an_integral_has_no_mean_before_time_has_passed() -> None:
    assert WindowedIntegral(START_S).mean(10.0, START_S) is None


def test_a_late_change_of_level_takes_nothing_back() -> None:
    integral = WindowedIntegral(START_S)
    integral.set_level(4.0, START_S)
    integral.set_level(2.0, START_S + 10.0)
    integral.set_level(0.0, START_S + 9.0)
    assert integral.over(math.inf, START_S + 20.0)[0] == pytest.approx(40.0)


@given(
    st.lists(st.tuples(st.floats(0, 40), st.integers(1, 9)), min_size=1, max_size=30),
    st.floats(0, 600),
    st.floats(0, 600),
)
def test_a_span_since_a_mark_is_exact_however_long_ago_it_was(
    events: list[tuple[float, int]], marked_after_s: float, after_s: float
) -> None:
    counter, now_s = WindowedCounter(START_S), START_S
    for gap_s, amount in events:
        now_s += gap_s
        counter.add(amount, now_s)
    now_s += marked_after_s
    counter.mark(now_s)
    marked_s, since = now_s, 0
    for gap_s, amount in events:
        now_s += gap_s
        counter.add(amount, now_s)
        since += amount
    now_s += after_s
    amount_since, covered_s = counter.over(now_s - marked_s, now_s)
    assert amount_since == since
    assert covered_s == pytest.approx(now_s - marked_s)
