"""The event log: a held key is one line, and nothing that happened is lost from it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import Switched
from prodtop.tui.state.event_log import MAX_LINES, MERGED_WITHIN_S, EventLog
from prodtop.tui.state.moment import LogLine


def switched(old: str, new: str, kind: str = "load", took_s: float = 0.0) -> Switched:
    return Switched(kind=kind, old=old, new=new, at_s=0.0, took_s=took_s)


def texts(log: EventLog) -> list[str]:
    return [line.text for line in log.lines]


def test_a_held_key_is_one_line() -> None:
    log = EventLog()
    steps = [8, 12, 16, 24, 32, 48, 64]
    for number, (old, new) in enumerate(pairwise(steps)):
        log.switched(switched(f"{old} users", f"{new} users"), 0.1 * number, 0.0)
    assert texts(log) == ["load: 8 users → 64 users, 6 changes"]
    assert (log.lines[0].wall_s, log.lines[0].kind) == (0.5, "switch")


def test_walking_back_says_so_and_times_add_up() -> None:
    log = EventLog()
    log.switched(switched("bf16", "int8", "precision", 1.25), 1.0, 0.0)
    assert texts(log) == ["precision: bf16 → int8 in 1.2 s"]
    log.switched(switched("int8", "bf16", "precision", 0.75), 2.5, 0.0)
    assert texts(log) == ["precision: bf16 again in 2.0 s, 2 changes"]


def test_what_is_no_continuation_has_a_line_of_its_own() -> None:
    log = EventLog()
    log.switched(switched("1 user", "2 users"), 0.0, 0.0)
    log.switched(switched("single", "hybrid", "strategy"), 0.1, 0.0)
    log.switched(switched("3 users", "4 users"), 0.2, 0.0)
    log.switched(switched("4 users", "6 users"), 0.2 + MERGED_WITHIN_S + 0.1, 0.0)
    assert texts(log) == [
        "load: 1 user → 2 users",
        "strategy: single → hybrid",
        "load: 3 users → 4 users",
        "load: 4 users → 6 users",
    ]


def test_a_strategy_has_a_key_and_a_line_of_its_own() -> None:
    log = EventLog()
    log.switched(switched("single", "batched", "strategy"), 0.0, 0.0)
    log.switched(switched("batched", "hybrid", "strategy"), 0.1, 0.0)
    assert texts(log) == ["strategy: single → batched", "strategy: batched → hybrid"]


def test_the_same_words_again_are_counted() -> None:
    log = EventLog()
    for tenth in range(30):
        log.say(LogLine(tenth / 10, "this is the highest load"))
    log.say(LogLine(3.0, "engine down", "fault"))
    log.say(LogLine(20.0, "this is the highest load"))
    assert texts(log) == [
        "this is the highest load (×30)",
        "engine down",
        "this is the highest load",
    ]


def test_a_clock_that_is_set_moves_lines_and_not_their_time_of_day() -> None:
    log = EventLog()
    log.say(LogLine(5.0, "one"))
    log.set_back(100.0)
    assert log.lines == (LogLine(105.0, "one", "info", -100.0),)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["load", "precision", "note"]), st.integers(0, 5), st.floats(0, 4)
        ),
        max_size=200,
    )
)
def test_the_lines_of_a_kind_lead_from_the_first_state_to_the_last(
    happenings: list[tuple[str, int, float]],
) -> None:
    log, now_s = EventLog(), 0.0
    at = {"load": 0, "precision": 0}
    for kind, value, after_s in happenings:
        now_s += after_s
        if kind == "note":
            log.say(LogLine(now_s, f"note {value}"))
        elif value != at[kind]:
            log.switched(switched(f"{at[kind]} ", f"{value} ", kind), now_s, 0.0)
            at[kind] = value
    times = [line.wall_s for line in log.lines]
    assert times == sorted(times)
    for kind, value in at.items():
        ends = [text for text in texts(log) if text.startswith(kind)]
        assert not ends or f"→ {value} " in ends[-1] or f"{value}  again" in ends[-1]


@pytest.mark.parametrize("gap_s", [0.01, 10.0])
def test_the_log_is_bounded(gap_s: float) -> None:
    log = EventLog()
    for number in range(3 * MAX_LINES):
        log.say(LogLine(number * gap_s, f"line {number}"))
    assert len(log.lines) == MAX_LINES
    assert log.lines[-1].text == f"line {3 * MAX_LINES - 1}"
