"""What the screen remembers of single requests, and as which moment knew them."""

import pytest
from frame_requests import finished, in_system, timeline
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import (
    FinishedRequest,
    LiveRequest,
    PrecisionName,
    RequestsInSystem,
    RequestState,
    StrategyName,
)
from prodtop.tui.state.requests import WORKER_DIED, RequestBook, RequestRow

OFFSET_S = 9_000.0
"""From the worker's clock to the history's."""


def wall_of(at_s: float) -> float:
    return at_s + OFFSET_S


def live(request_id: int, at_s: float = 20.0, **changes: object) -> RequestsInSystem:
    values: dict[str, object] = {
        "request_id": request_id,
        "state": RequestState.DECODE,
        "arrival_at_s": 10.0,
        "prompt_tokens": 30,
        "output_tokens": 5,
        "max_tokens": 64,
        "queue_ms": 2_000.0,
        "ttft_ms": 4_000.0,
    }
    request = LiveRequest(**(values | changes))  # type: ignore[arg-type]  # typed where they are named
    return RequestsInSystem(at_s=at_s, running=1, waiting=0, requests=[request])


def ended(request_id: int, *, failed: bool = False) -> FinishedRequest:
    return FinishedRequest(
        request_id=request_id,
        strategy=StrategyName.HYBRID,
        precision=PrecisionName.BF16,
        prompt_tokens=30,
        output_tokens=11,
        finish_reason="no memory" if failed else "stop",
        failed=failed,
        arrival_at_s=10.0,
        e2e_ms=14_000.0,
        ttfb_ms=4_000.0,
        queue_ms=2_000.0,
        ttft_ms=4_000.0,
        tpot_ms=1_000.0,
    )


def only(book: RequestBook) -> RequestRow:
    (row,) = book.now().rows
    return row


def test_a_request_is_one_row_from_its_arrival_to_its_end() -> None:
    book = RequestBook()
    book.on_live(live(7), wall_of)
    row = only(book)
    assert (row.state, row.output_tokens, row.max_tokens) == (RequestState.DECODE, 5, 64)
    assert row.arrival_s == wall_of(10.0)
    assert row.e2e_ms == pytest.approx(10_000.0)
    assert row.tpot_ms == pytest.approx((10_000.0 - 4_000.0) / 4)
    book.on_finished([ended(7)], wall_of)
    # A list of those in the system that was made before the end was told comes too late.
    book.on_live(live(7), wall_of)
    row = only(book)
    assert (row.state, row.output_tokens, row.reason) == (RequestState.FINISHED, 11, "stop")
    assert row.end_s == pytest.approx(wall_of(24.0))


def test_what_a_dead_worker_held_has_failed_and_ids_begin_anew() -> None:
    book = RequestBook()
    book.on_live(live(7), wall_of)
    key = only(book).key
    assert book.inspect(key) == 7
    book.on_worker_died()
    assert (only(book).state, only(book).reason) == (RequestState.FAILED, WORKER_DIED)
    book.on_live(live(7), wall_of)
    assert len({row.key for row in book.now().rows}) == 2
    # Whoever serves now knows nothing of it: there is an answer at once.
    assert book.inspect(key) is None
    told = book.now().timeline
    assert told is not None
    assert told.state is None


def test_the_answer_to_an_earlier_question_is_passed_over() -> None:
    book = RequestBook()
    book.on_live(live(7), wall_of)
    key = only(book).key
    book.inspect(key)
    book.on_timeline(timeline(8))
    assert book.now().timeline is None
    book.on_timeline(timeline(7))
    assert book.now().timeline == timeline(7)
    book.inspect(None)
    assert (book.now().inspected, book.now().timeline) == (None, None)


@pytest.mark.parametrize(
    ("second", "state", "known"),
    [
        (11.0, RequestState.WAITING, (0, None, None, None)),
        (12.5, RequestState.PREFILL, (None, 2_000.0, None, None)),
        (15.0, RequestState.DECODE, (None, 2_000.0, 4_000.0, None)),
        (24.1, RequestState.FINISHED, (11, 2_000.0, 4_000.0, 1_000.0)),
    ],
)
def test_the_past_knows_nothing_of_what_came_later(
    second: float, state: RequestState, known: tuple[float | None, ...]
) -> None:
    book = RequestBook()
    book.on_finished([ended(1)], wall_of)
    assert book.at(wall_of(9.9)).rows == ()
    (row,) = book.at(wall_of(second)).rows
    assert row.state is state
    assert (row.output_tokens, row.queue_ms, row.ttft_ms, row.tpot_ms) == known
    assert row.e2e_ms == pytest.approx(min((second - 10.0) * 1e3, 14_000.0))
    assert bool(row.reason) == row.ended


@given(st.lists(st.integers(0, 40), max_size=60))
def test_however_many_end_the_last_ones_are_kept(bursts: list[int]) -> None:
    book = RequestBook(kept=50)
    total = 0
    for burst in bursts:
        book.on_finished([ended(total + place) for place in range(burst)], wall_of)
        total += burst
    ids = [row.request_id for row in book.now().rows]
    assert ids == list(range(max(0, total - 50), total))


def test_how_many_were_left_out_is_known() -> None:
    book = RequestBook()
    told = in_system(60.0, StrategyName.HYBRID)
    crowd = RequestsInSystem(at_s=told.at_s, running=32, waiting=900, requests=told.requests)
    book.on_live(crowd, wall_of)
    assert book.now().left_out == 900
    assert book.at(wall_of(1e6)).left_out is None
    book.on_finished(finished(60.0, StrategyName.HYBRID).requests, wall_of)
    assert len(book.now().rows) == 34
