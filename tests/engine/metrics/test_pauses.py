"""What counts as a pause of the engine, and how much of a span it took."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.metrics.pauses import Pauses


def stepping(step_s: float, steps: int = 300) -> tuple[Pauses, float]:
    pauses, now_s = Pauses(0.0), 0.0
    for _ in range(steps):
        now_s += step_s
        pauses.on_alive(now_s, stepped=True)
    return pauses, now_s


def test_a_silence_much_longer_than_the_steps_is_a_pause() -> None:
    pauses, now_s = stepping(0.02)
    assert pauses.on_alive(now_s + 0.9, stepped=True) is None
    assert pauses.on_alive(now_s + 5.9, stepped=True) == pytest.approx(now_s + 0.9)
    assert pauses.total_s == pytest.approx(5.0)


def test_an_engine_of_slow_steps_does_not_pause() -> None:
    pauses, _ = stepping(3.0)
    assert pauses.total_s == pytest.approx(6.0), "only the first two were unknown"


def test_a_long_prompt_now_and_then_is_no_pause() -> None:
    pauses, now_s = stepping(0.02)
    for _ in range(10):
        for seconds in (*[0.02] * 50, 2.0):
            now_s += seconds
            pauses.on_alive(now_s, stepped=True)
    assert pauses.total_s == pytest.approx(4.0)


def test_one_pause_after_another_is_noticed() -> None:
    pauses, now_s = stepping(0.02)
    for _ in range(3):
        now_s += 20.0
        assert pauses.on_alive(now_s) is not None
        now_s += 0.02
        pauses.on_alive(now_s, stepped=True)
    assert pauses.total_s == pytest.approx(60.0)


def test_what_a_switch_says_and_what_was_noticed_counts_once() -> None:
    pauses, now_s = stepping(0.02)
    pauses.on_alive(now_s + 4.0)
    pauses.add(now_s, now_s + 6.0)
    assert pauses.total_s == pytest.approx(6.0)
    pauses.add(now_s, now_s + 6.0)
    assert pauses.total_s == pytest.approx(6.0)


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), max_size=20),
    st.integers(0, 2000),
    st.integers(0, 2000),
)
def test_the_paused_part_of_a_span_is_its_overlap(
    turns: list[tuple[int, int]], first: int, second: int
) -> None:
    pauses, now, paused = Pauses(0.0), 0, set[int]()
    for working, resting in turns:
        pauses.on_alive(now := now + working)
        pauses.add(now, now + resting)
        paused |= set(range(now, now + resting))
        now += resting
    begin, end = sorted((first, second))
    silent = pauses.within(begin, end)
    assert silent >= len(paused & set(range(begin, end)))
    assert silent <= end - begin
