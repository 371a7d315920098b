"""What `g` takes: against the calendar, second by second."""

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from prodtop.engine.protocol.errors import BadInputError
from prodtop.tui.state.go_to import Session, moment_asked

BEGIN_S = 1_790_000_000.0
AT_THREE_S = time.mktime((2026, 9, 21, 15, 0, 0, 0, 0, -1))
SHIFTS = st.sampled_from([0.0, 3600.0, -7200.0, 12.5])


def clock_of(wall_s: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(wall_s))


@given(
    length_s=st.integers(1, 200_000),
    part=st.floats(0.0, 1.0),
    wanted=st.integers(0, 200_000),
    shift_s=SHIFTS,
)
def test_a_time_of_day_within_the_session_is_the_nearest_second_that_had_it(
    length_s: int, part: float, wanted: int, shift_s: float
) -> None:
    assume(wanted <= length_s)
    session = Session(BEGIN_S, BEGIN_S + length_s, BEGIN_S + length_s * part, shift_s)
    clock = clock_of(BEGIN_S + wanted + shift_s)
    found_s = moment_asked(clock, session)
    # Every second of the session that reads so: they are days apart.
    same = [
        at_s
        for day in range(-3, 4)
        if session.begin_s - 1 < (at_s := BEGIN_S + wanted + day * 86_400) <= session.end_s
        and clock_of(at_s + shift_s) == clock
    ]
    assert found_s in [pytest.approx(max(at_s, session.begin_s), abs=1.0) for at_s in same]
    nearest_s = min(abs(at_s - session.at_s) for at_s in same)
    assert abs(found_s - session.at_s) <= nearest_s + 1.0


@given(
    sign=st.sampled_from("+-"),
    hours=st.integers(0, 30),
    minutes=st.integers(0, 59),
    seconds=st.integers(0, 59),
    written=st.integers(0, 2),
)
def test_a_step_is_from_here_and_ends_where_the_session_does(
    sign: str, hours: int, minutes: int, seconds: int, written: int
) -> None:
    session = Session(BEGIN_S, BEGIN_S + 7200, BEGIN_S + 3600)
    whole_s = hours * 3600 + minutes * 60 + seconds
    text = (
        f"{hours}h{minutes}m{seconds}s",
        f"{whole_s}s",
        f"{hours}:{minutes:02d}:{seconds:02d}",
    )[written]
    wanted_s = session.at_s + (whole_s if sign == "+" else -whole_s)
    assert moment_asked(f" {sign}{text} ", session) == min(
        max(wanted_s, session.begin_s), session.end_s
    )


def test_where_no_such_time_of_day_was_it_is_since_the_beginning() -> None:
    begin_s = AT_THREE_S
    session = Session(begin_s, begin_s + 3600, begin_s)
    assert moment_asked("00:12:31", session) == begin_s + 751
    assert moment_asked("12:31", session) == begin_s + 751
    assert moment_asked("15:12:31", session) == begin_s + 751
    assert moment_asked("15:12", session) == begin_s + 720
    assert moment_asked("start", session) == begin_s
    assert moment_asked("END", session) == begin_s + 3600


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-5", "+", "99:99:99", "25:00", "14:03:20:11", "-5x", "٣:٤", "-" + "9" * 400],
)
def test_what_is_no_time_is_said_in_one_line(text: str) -> None:
    begin_s = AT_THREE_S
    with pytest.raises(BadInputError) as caught:
        moment_asked(text, Session(begin_s, begin_s + 600, begin_s))
    assert "\n" not in str(caught.value)


@given(text=st.text(max_size=30), shift_s=st.floats(-1e12, 1e12))
def test_whatever_is_typed_is_a_moment_of_the_session_or_refused(text: str, shift_s: float) -> None:
    session = Session(BEGIN_S, BEGIN_S + 600, BEGIN_S + 10, shift_s)
    try:
        found_s = moment_asked(text, session)
    except BadInputError:
        return
    assert session.begin_s <= found_s <= session.end_s
