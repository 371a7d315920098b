"""Windows of amounts against a plain list of what was added; counters that begin anew."""

from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.targets.binned import BinnedAmounts, GrowingCount

EVENTS = st.lists(st.tuples(st.floats(0, 400), st.integers(0, 9)), max_size=60)


@given(EVENTS, st.sampled_from([10.0, 25.0, 100.0]), st.floats(0, 200))
def test_a_window_holds_what_came_in_it_to_a_bin(
    events: list[tuple[float, int]], span_s: float, later_s: float
) -> None:
    amounts, bin_s = BinnedAmounts(2.5, 100.0), 2.5
    events = sorted(events)
    for at_s, amount in events:
        amounts.add({"n": amount}, at_s)
    now_s = (events[-1][0] if events else 0.0) + later_s

    def since(age_s: float) -> int:
        return sum(amount for at_s, amount in events if at_s > now_s - age_s)

    found = amounts.over(span_s, now_s)["n"]
    assert since(span_s - bin_s) <= found <= since(span_s + 1e-9)


@given(EVENTS)
def test_a_clock_that_goes_back_loses_nothing_and_one_that_jumps_forgets(
    events: list[tuple[float, int]],
) -> None:
    amounts = BinnedAmounts(1.0, 1000.0)
    for at_s, amount in events:
        amounts.add({"n": amount}, at_s)
    newest_s = max((at_s for at_s, _ in events), default=0.0)
    total = sum(amount for _, amount in events)
    assert amounts.over(1000.0, newest_s)["n"] == total
    assert amounts.over(1000.0, newest_s - 50.0)["n"] == total
    assert amounts.over(1000.0, newest_s + 2000.0)["n"] == 0


@given(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=8), min_size=1, max_size=6))
def test_what_grows_counts_once_however_often_the_counter_begins_anew(
    lives: list[list[int]],
) -> None:
    """Each life is one worker's: its counts grow by these steps from 0, and start above what the
    one before it ended with only where that is not seen as a new beginning."""
    count, counted, expected, last = GrowingCount(0.0), 0.0, 0, 0
    for steps in lives:
        value = 0
        for step in steps:
            value += step
            counted += count.growth(value)
            expected += value - last if value >= last else value
            last = value
    assert counted == expected


def test_a_first_look_may_only_tell_where_a_counter_stands() -> None:
    count = GrowingCount()
    assert [count.growth(each) for each in (7, 9, 2)] == [0, 2, 2]


def test_nothing_was_added_to_a_name_that_nobody_used() -> None:
    assert BinnedAmounts(1.0, 10.0).over(10.0, 5.0)["never"] == 0
