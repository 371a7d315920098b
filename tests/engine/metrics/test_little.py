"""Little's law on simulated queues: both sides are measured apart, and must meet."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.metrics.little import SPAN_S, LittleMeter
from prodtop.engine.metrics.steadiness import LEAST_DIFFERENCE, TOLERANCE, unsteady
from simulated_queue import TICK_S, SimulatedQueue

END_S = 30.0


def simulate(
    seed: int, servers: int, load: float, rate_per_s: float = 150.0
) -> list[tuple[float, float]]:
    """Arrival and departure of each request of a first-come M/M/c queue, from 0 to `END_S`."""
    random = np.random.default_rng(seed)
    arrivals = np.cumsum(random.exponential(1 / rate_per_s, size=int(END_S * rate_per_s)))
    services = random.exponential(servers * load / rate_per_s, size=arrivals.size)
    free_at = [0.0] * servers
    visits: list[tuple[float, float]] = []
    for arrival, service in zip(arrivals.tolist(), services.tolist(), strict=True):
        departure = max(arrival, heapq.heappop(free_at)) + service
        heapq.heappush(free_at, departure)
        visits.append((arrival, departure))
    return visits


def measure(visits: list[tuple[float, float]], until_s: float, lag_s: float = 0.0) -> LittleMeter:
    """A meter that noticed every arrival `lag_s` late, and every departure at once."""
    events = [(arrival + lag_s, 0, arrival) for arrival, _ in visits]
    events += [(departure, 1, arrival) for arrival, departure in visits]
    meter = LittleMeter(0.0)
    for at_s, leaves, arrival_s in sorted(events):
        if at_s > until_s:
            break
        if leaves:
            meter.on_departure(at_s, at_s - arrival_s)
        else:
            meter.on_arrival(at_s, arrival_s)
    return meter


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32), servers=st.integers(1, 16), load=st.floats(0.2, 0.8))
def test_in_steady_state_both_sides_agree(seed: int, servers: int, load: float) -> None:
    now_s = 25.0
    meter = measure(simulate(seed, servers, load), now_s)
    in_system, product = meter.mean_in_system(now_s), meter.rate_times_residence(now_s)
    assert in_system is not None
    assert product == pytest.approx(in_system, rel=0.1)


@pytest.mark.parametrize("now_s", [12.345, 25.0])
def test_mean_in_system_is_the_time_average(now_s: float) -> None:
    visits = simulate(seed=3, servers=4, load=0.7)
    # The span is cut to whole bins of a tenth of a second.
    from_s = np.ceil((now_s - SPAN_S) * 10) / 10
    inside = [max(0.0, min(end, now_s) - max(start, from_s)) for start, end in visits]
    found = measure(visits, now_s).mean_in_system(now_s)
    assert found == pytest.approx(sum(inside) / (now_s - from_s), rel=1e-6)


def test_a_late_notice_does_not_shorten_a_residence() -> None:
    visits = simulate(seed=4, servers=64, load=0.6)
    prompt, late = measure(visits, 25.0), measure(visits, 25.0, lag_s=0.002)
    exact = prompt.mean_in_system(25.0)
    assert exact is not None
    assert late.mean_in_system(25.0) == pytest.approx(exact, rel=0.01)


def test_a_filling_system_shows_both_sides_apart() -> None:
    meter = LittleMeter(0.0)
    for number in range(100):
        meter.on_arrival(number / 10)
    meter.on_departure(10.0, 10.0)
    in_system, product = meter.mean_in_system(10.0), meter.rate_times_residence(10.0)
    assert in_system == pytest.approx(50, rel=0.05)
    assert product == pytest.approx(1.0)


def test_nothing_is_known_before_anything_happened() -> None:
    meter = LittleMeter(5.0)
    assert meter.mean_in_system(5.0) is None
    assert meter.rate_times_residence(6.0) is None
    assert meter.mean_in_system(6.0) == 0.0


@settings(deadline=None, max_examples=8)
@given(
    slots=st.integers(1, 8),
    service_ticks=st.integers(2, 20),
    users=st.integers(0, 40),
    busy=st.floats(0.3, 2.5),
    pauses=st.lists(
        st.tuples(st.floats(0.5, 12.0), st.floats(0.2, 40.0), st.booleans()), min_size=1, max_size=5
    ),
)
def test_whatever_pauses_both_sides_agree_or_are_called_unsteady(
    slots: int,
    service_ticks: int,
    users: int,
    busy: float,
    pauses: list[tuple[float, float, bool]],
) -> None:
    rate_per_s = 0.0 if users else busy * slots / (service_ticks * TICK_S)
    queue = SimulatedQueue(
        slots=slots, service_ticks=service_ticks, rate_per_s=rate_per_s, users=users
    )
    # From here on a closed loop is steady, whatever pauses there are: it is not called unsteady.
    settled_s = 15 + 3 * max(users, slots) / slots * service_ticks * TICK_S
    queue.run(settled_s)
    for seconds, paused_s, switched in pauses:
        if switched:
            queue.switch("precision", "bf16", "int8", paused_s)
        else:
            queue.pause(paused_s)
        for _ in range(round(seconds / 0.5)):
            queue.run(0.5)
            found = queue.metrics.queue(queue.now_s, running=0, waiting=0)
            left, right = found.mean_in_system, found.arrival_rate_times_residence
            if left is None or right is None or found.unsteady:
                assert not users or paused_s < 1.0 or right is None
                continue
            assert abs(left - right) <= max(LEAST_DIFFERENCE, TOLERANCE * max(left, right))


@pytest.mark.parametrize(
    ("left", "right", "apart"),
    [
        (64.0, 60.0, False),
        (64.0, 207.0, True),
        (0.4, 1.2, False),
        (None, 3.0, False),
        (9.0, 0.0, True),
    ],
)
def test_a_fifth_or_one_request_is_no_difference(
    left: float | None, right: float | None, apart: bool
) -> None:
    assert unsteady(left, right) is apart
