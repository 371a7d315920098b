"""The server's own counts: nothing is lost, and no client makes them grow without end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.server.http_counters import MOST_LABELS, OTHER, Answered, HttpCounters


@given(
    st.lists(
        st.tuples(
            st.none() | st.sampled_from(["/v1/completions", "/metrics"]),
            st.sampled_from(["GET", "POST", "get", "BREW", ""]),
            st.integers(100, 599),
        )
    )
)
def test_every_answer_counts_once(answers: list[tuple[str | None, str, int]]) -> None:
    counters = HttpCounters()
    for route, method, status in answers:
        counters.on_answered(route, method, status)
    assert sum(counters.answered.values()) == len(answers)
    assert {each.method for each in counters.answered} <= {"GET", "POST", OTHER}
    assert len(counters.answered) <= MOST_LABELS + 5
    for status in (200, 404):
        told = sum(each[2] == status for each in answers)
        if len(counters.answered) < MOST_LABELS:
            counted = sum(n for each, n in counters.answered.items() if each.status == status)
            assert counted == told


def test_labels_that_clients_choose_have_an_end() -> None:
    counters = HttpCounters()
    for number in range(10 * MOST_LABELS):
        counters.on_answered(f"/{number}", "GET", 404)
        counters.on_rejected(f"reason {number}")
    assert len(counters.answered) == len(counters.rejected) == MOST_LABELS + 1
    assert counters.answered[Answered(OTHER, OTHER, 400)] == 9 * MOST_LABELS
    assert counters.rejected[OTHER] == 9 * MOST_LABELS
    counters.on_answered("/7", "GET", 404)
    assert counters.answered[Answered("/7", "GET", 404)] == 2


def test_a_path_that_is_no_route_is_not_told() -> None:
    counters = HttpCounters()
    counters.on_answered(None, "GET", 404)
    assert list(counters.answered) == [Answered(OTHER, "GET", 404)]


def test_streams_that_are_open_are_those_not_closed() -> None:
    counters = HttpCounters()
    counters.on_stream_opened()
    counters.on_stream_opened()
    counters.on_stream_closed()
    assert counters.open_streams == 1
    counters.on_stream_closed()
    with pytest.raises(ValueError, match="no stream is open"):
        counters.on_stream_closed()
