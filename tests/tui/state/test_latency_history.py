"""Distributions over time: nothing is lost or counted twice, whatever frames are dropped."""

from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import LATENCY_EDGES_MS, LatencyCounts
from prodtop.tui.state.latency_history import COARSE_S, FINE_CELLS, FINE_S, METRICS, LatencyHistory

STEPS = len(LATENCY_EDGES_MS) + 1
arrivals = st.lists(
    st.tuples(st.floats(0.05, 400.0), st.integers(0, STEPS - 1), st.booleans()), max_size=60
)


def counts_of(steps: list[int]) -> LatencyCounts:
    return LatencyCounts(ttft=[*steps], tpot=[0] * STEPS, e2e=[2 * each for each in steps])


@given(arrivals)
def test_whatever_frames_are_dropped_each_request_counts_once(
    requests: list[tuple[float, int, bool]],
) -> None:
    """A request every so many seconds; only some of the frames arrive."""
    history, now_s, steps = LatencyHistory(), 1_000_000.0, [0] * STEPS
    history.add(now_s, counts_of(steps))
    for gap_s, step, arrives in requests:
        now_s += gap_s
        steps[step] += 1
        if arrives:
            history.add(now_s, counts_of(steps))
    now_s += 1.0
    history.add(now_s, counts_of(steps))
    assert history.over("ttft", 0.0, now_s) == steps
    assert history.over("e2e", 0.0, now_s) == [2 * each for each in steps]
    assert history.over("tpot", 0.0, now_s) == [0] * STEPS
    times = [at_s for at_s, _ in history.cells("ttft", 0.0, now_s)]
    assert times == sorted(times)
    assert len(times) <= FINE_CELLS + (now_s - 1_000_000.0) / COARSE_S + 2


def test_a_span_holds_what_ended_in_it() -> None:
    history, steps = LatencyHistory(), [0] * STEPS
    history.add(100.0, counts_of(steps))
    for second in range(60):
        steps[second % 3] += 1
        history.add(100.25 + second, counts_of(steps))
    newest = history.over("ttft", 160.0 - 9.0, 160.0)
    assert sum(newest) == 9
    assert sum(history.over("ttft", 0.0, 129.75)) == 30
    assert sum(history.over("ttft", 0.0, 99.0)) == 0


def test_a_new_worker_counts_from_zero_and_the_first_frame_tells_no_time() -> None:
    history, before, after = LatencyHistory(), [0] * STEPS, [0] * STEPS
    before[5] = 40
    history.add(10.0, counts_of(before))
    assert history.over("ttft", 0.0, 20.0) == [0] * STEPS
    after[7] = 2
    history.add(12.0, counts_of(after))
    assert history.over("ttft", 0.0, 20.0) == after


def test_what_changed_is_counted_so_that_nothing_is_drawn_twice() -> None:
    history, steps = LatencyHistory(), [0] * STEPS
    history.add(1.0, counts_of(steps))
    history.add(1.0 + FINE_S, counts_of(steps))
    assert history.changes == 0
    steps[3] += 1
    history.add(2.0, counts_of(steps))
    assert history.changes == 1
    assert set(METRICS) == set(LatencyCounts.__struct_fields__)
