"""Where n and N stop, and what counts as a spike: against a search through everything."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.state.stops import SETTLED_S, Stop, matching, next_stop, spikes

TIMES = st.lists(st.floats(0.0, 1e5), max_size=30).map(sorted)


@given(times_s=TIMES, at=st.one_of(st.floats(-10.0, 1.1e5), st.integers(0, 29)))
def test_the_next_stop_is_the_nearest_there_is(times_s: list[float], at: float) -> None:
    stops = [Stop(time_s, "switch", str(place)) for place, time_s in enumerate(times_s)]
    # A place in the list: one stands exactly on a stop.
    at_s = times_s[at] if isinstance(at, int) and at < len(times_s) else float(at)
    after = [stop.wall_s for stop in stops if stop.wall_s > at_s]
    before = [stop.wall_s for stop in stops if stop.wall_s < at_s]
    found, back = next_stop(stops, at_s, 1), next_stop(stops, at_s, -1)
    assert (found.wall_s if found else None) == min(after, default=None)
    assert (back.wall_s if back else None) == max(before, default=None)


@given(times_s=TIMES)
def test_walking_on_visits_every_moment_once_and_back_again(times_s: list[float]) -> None:
    stops = [Stop(time_s, "note", "x") for time_s in times_s]
    forth: list[float] = []
    at_s = -math.inf
    while (stop := next_stop(stops, at_s, 1)) is not None:
        at_s = stop.wall_s
        forth.append(at_s)
    assert forth == sorted(set(times_s))
    back: list[float] = []
    at_s = math.inf
    while (stop := next_stop(stops, at_s, -1)) is not None:
        at_s = stop.wall_s
        back.append(at_s)
    assert back == forth[::-1]


@given(
    base=st.floats(1.0, 1e3),
    where=st.integers(20, 180),
    high=st.floats(3.0, 100.0),
    long=st.integers(1, 10),
)
def test_one_hump_is_one_spike_at_its_top(base: float, where: int, high: float, long: int) -> None:
    values = [base] * 260
    for place in range(where, where + long):
        values[place] = base * high
    values[where + long // 2] = base * high * 1.5
    times_s = [place * 0.25 for place in range(260)]
    assert spikes(times_s, values, 0.1) == [(times_s[where + long // 2], base * high * 1.5)]


@given(
    values=st.lists(st.one_of(st.just(math.nan), st.floats(0.0, 1e6)), max_size=80),
    step_s=st.floats(0.1, 20.0),
)
def test_spikes_are_samples_in_order_and_apart(values: list[float], step_s: float) -> None:
    times_s = [place * step_s for place in range(len(values))]
    found = spikes(times_s, values, 1.0)
    assert set(found) <= set(zip(times_s, values, strict=True))
    assert [time_s for time_s, _ in found] == sorted({time_s for time_s, _ in found})
    # Each but the last has settled before the next could begin.
    assert all(value > 1.0 for _, value in found)
    assert len(found) <= 1 + times_s[-1] / SETTLED_S if times_s else not found


def test_what_stays_as_it_is_has_no_spike() -> None:
    assert spikes([place * 1.0 for place in range(300)], [50.0] * 300, 0.0) == []


def test_a_search_looks_for_all_words_in_any_case() -> None:
    stops = [Stop(1.0, "switch", "strategy: single → HYBRID"), Stop(2.0, "note", "single user")]
    assert matching(stops, "hybrid SWITCH") == stops[:1]
    assert matching(stops, "single") == stops
    assert matching(stops, "") == stops
    assert matching(stops, "nothing") == []
