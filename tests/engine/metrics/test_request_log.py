"""What is known at some moment of requests, of those in flight from below."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.metrics.latency import request_latency
from prodtop.engine.metrics.request_log import MOST_REQUESTS, RequestLog
from simulated_queue import SimulatedRequest


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 30), st.floats(0, 30), st.booleans())),
    st.floats(0, 60),
    st.floats(0, 60),
)
def test_a_cohort_is_what_a_look_at_its_moment_would_have_seen(
    visits: list[tuple[float, float, float, bool]], first_s: float, second_s: float
) -> None:
    from_s, until_s = sorted((first_s, second_s))
    log, visits = RequestLog(), sorted(visits)
    requests = [SimulatedRequest(arrival) for arrival, *_ in visits]
    for request in requests:
        log.on_arrival(request.arrival_at_s, request)
    for request, (arrival, wait, rest, fails) in zip(requests, visits, strict=True):
        token, end = arrival + wait, arrival + wait + rest
        request.first_token_at_s = request.first_byte_at_s = token
        request.last_token_at_s, request.num_output_tokens = end, 2
        if fails:
            log.on_failed(request, end)
        else:
            log.on_finished(request, request_latency(request, end), end)
    cohort = log.cohort(from_s, until_s)
    expected = [visit for visit in reversed(visits) if from_s <= visit[0] <= until_s]
    assert cohort.arrival_at_s.tolist() == [arrival for arrival, *_ in expected]
    for row, (arrival, wait, rest, fails) in enumerate(expected):
        token, end = arrival + wait, arrival + wait + rest
        assert cohort.ttft_over[row] == (token <= until_s)
        assert np.isclose(cohort.ttft_s[row], min(token, until_s) - arrival)
        assert cohort.finished[row] == (end <= until_s and not fails)
        assert np.isclose(cohort.e2e_s[row], min(end, until_s) - arrival)


def test_who_failed_waiting_had_waited_until_then() -> None:
    log, request = RequestLog(), SimulatedRequest(1.0)
    log.on_arrival(1.0, request)
    log.on_failed(request, 4.0)
    cohort = log.cohort(0.0, 60.0)
    assert not cohort.ttft_over[0]
    assert not cohort.finished[0]
    assert cohort.ttft_s[0] == 3.0


def test_a_running_request_has_the_pace_that_it_had_so_far() -> None:
    log, request = RequestLog(), SimulatedRequest(0.0)
    log.on_arrival(0.0, request)
    assert np.isnan(log.cohort(0.0, 9.0).tpot_s[0])
    request.first_token_at_s, request.last_token_at_s, request.num_output_tokens = 1.0, 3.0, 5
    assert log.cohort(0.0, 9.0).tpot_s[0] == 0.5


def test_the_newest_are_remembered() -> None:
    log = RequestLog()
    for number in range(MOST_REQUESTS + 10):
        log.on_arrival(float(number), SimulatedRequest(float(number)))
    cohort = log.cohort(0.0, 1e9)
    assert cohort.arrival_at_s.size == MOST_REQUESTS
    assert cohort.arrival_at_s.min() == 10.0
