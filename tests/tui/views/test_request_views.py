"""What the table of requests and a timeline say, at any width and in plain ASCII."""

from dataclasses import replace

import msgspec
import pytest
from frame_requests import in_system, timeline
from frames import frame
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import (
    IntervalKind,
    Latency,
    Percentiles,
    RequestState,
    RequestTimeline,
    StrategyName,
    TimelineInterval,
    Window,
)
from prodtop.tui.drawing.line import Line
from prodtop.tui.state.moment import Moment, Phase, WorkerState
from prodtop.tui.state.request_table import Order, TableState
from prodtop.tui.state.requests import RequestBook, RequestRow, Requests
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.views.latency_shape import histogram_lines
from prodtop.tui.views.panel import Room
from prodtop.tui.views.request_timeline import timeline_view
from prodtop.tui.views.requests import (
    COLUMNS,
    column_at,
    footnote,
    head_line,
    placed_columns,
    row_lines,
)
from prodtop.tui.views.slowness import reasons

widths = st.integers(56, 260)
glyph_sets = st.sampled_from([UNICODE, ASCII])


def rows() -> list[RequestRow]:
    """Requests in every state."""
    book = RequestBook()
    book.on_live(in_system(60.0, StrategyName.SINGLE), lambda at_s: at_s)
    some = list(book.now().rows)
    endings = [
        replace(row, state=state, reason=reason, e2e_ms=123_456.7, tpot_ms=12.3)
        for row, (state, reason) in zip(
            some,
            [
                (RequestState.FINISHED, "length"),
                (RequestState.FAILED, "the tokenizer has no text"),
                (RequestState.PREEMPTED, ""),
            ],
            strict=False,
        )
    ]
    return [*endings, *some[len(endings) :]]


def moment(told: RequestTimeline | None, window: Window = Window.M1) -> Moment:
    shown = Requests(inspected="1.2280", timeline=told)
    worker = WorkerState(Phase.SERVING)
    return Moment(
        wall_s=0.0, now_s=0.0, frame=frame(), worker=worker, window=window, requests=shown
    )


def check(lines: list[Line], room: Room) -> None:
    for line in lines:
        assert line.width <= room.width, line.plain
        assert room.glyphs.unicode or line.plain.isascii(), line.plain


@given(widths, glyph_sets, st.sampled_from(Order), st.booleans())
def test_the_table_fits_any_width(
    width: int, glyphs: Glyphs, order: Order, descending: bool
) -> None:
    room, table = Room(width, 20, glyphs), TableState(order, descending)
    some = rows()
    lines = [
        head_line(table, room),
        *row_lines(some, some[1].key, room, longest_ms=max(row.e2e_ms for row in some)),
    ]
    check(lines, room)
    assert sum(line.plain.startswith(glyphs.pointer) for line in lines) == 1


@given(widths)
def test_a_click_on_a_heading_means_the_column_that_stands_there(width: int) -> None:
    room = Room(width, 20, UNICODE)
    head = head_line(TableState(), room).plain
    shown = [each.column.order for each in placed_columns(width)]
    assert {Order.ID, Order.STATE, Order.TTFT, Order.E2E} <= set(shown)
    for order in shown:
        for x in range(head.index(order.value), head.index(order.value) + len(order.value)):
            assert column_at(x, width) is order
    assert column_at(width + 5, width) is None
    assert {column.order for column in COLUMNS} == set(Order)


@given(st.integers(20, 260), st.integers(4, 60), glyph_sets)
def test_a_timeline_fits_any_room(width: int, height: int, glyphs: Glyphs) -> None:
    room = Room(width, height, glyphs)
    view = timeline_view(moment(timeline()), None, room)
    check([*view.head, *view.rows], room)
    assert len(view.rows) == len(timeline().intervals)


def test_a_timeline_names_every_part_of_the_time_and_the_sum() -> None:
    told = timeline()
    text = "\n".join(
        line.plain for line in timeline_view(moment(told), None, Room(120, 40, UNICODE)).head
    )
    for part in ("E2E 5.70 s", "queued 3.90 s", "prefill 539 ms", "decode 560 ms"):
        assert part in text
    assert "median 41 ms: 3.90 s of it in the queue behind 212 requests" in text
    assert "medians of the window: 1m" in text
    assert sum(told.length_us(kind) for kind in IntervalKind) == told.e2e_us


def test_a_timeline_that_is_not_there_says_why() -> None:
    room = Room(80, 20, UNICODE)
    asked = timeline_view(moment(None), None, room)
    assert "asking" in asked.head[0].plain
    gone = RequestTimeline(request_id=1, state=None, at_s=0.0)
    assert (
        "keeps those of the last requests" in timeline_view(moment(gone), None, room).head[0].plain
    )
    dead = replace(rows()[0], reason="worker died")
    assert "worker died" in timeline_view(moment(gone), dead, room).head[0].plain


def usual(ttft_ms: float = 300.0, tpot_ms: float = 10.0, e2e_ms: float = 1_000.0) -> Latency:
    def of(p50_ms: float) -> Percentiles:
        return Percentiles(count=50, mean_ms=p50_ms, p50_ms=p50_ms, p95_ms=p50_ms, p99_ms=p50_ms)

    return Latency(ttft=of(ttft_ms), tpot=of(tpot_ms), e2e=of(e2e_ms))


def told(*spans: tuple[IntervalKind, int, int], **changes: object) -> RequestTimeline:
    """A finished request of these intervals, in milliseconds."""
    intervals: list[TimelineInterval] = []
    at_us, first_us, output = 0, None, 0
    for kind, length_ms, tokens in spans:
        if kind is IntervalKind.DECODE:
            first_us = at_us if first_us is None else first_us
            output += tokens
        intervals.append(
            TimelineInterval(kind=kind, start_us=at_us, length_us=length_ms * 1000, tokens=tokens)
        )
        at_us += length_ms * 1000
    request = RequestTimeline(
        request_id=1,
        state=RequestState.FINISHED,
        at_s=0.0,
        e2e_us=at_us,
        first_token_us=first_us,
        intervals=intervals,
        output_tokens=output,
        waiting_ahead=7,
        prompt_tokens=900,
    )
    return msgspec.structs.replace(request, **changes)


QUEUED, PREFILL, DECODE = IntervalKind.QUEUED, IntervalKind.PREFILL, IntervalKind.DECODE
PREEMPTED, ARRIVING = IntervalKind.PREEMPTED, IntervalKind.ARRIVING


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            told((QUEUED, 3_900, 0), (PREFILL, 300, 900), (DECODE, 290, 30)),
            ["TTFT 4.20 s, median 300 ms: 3.90 s of it in the queue behind 7 requests"],
        ),
        (
            told((QUEUED, 10, 0), (PREFILL, 900, 512), (PREFILL, 700, 388), (DECODE, 290, 30)),
            ["TTFT 1.61 s, median 300 ms: 1.60 s of it on 900 prompt tokens in 2 chunks"],
        ),
        (
            told((ARRIVING, 800, 0), (QUEUED, 10, 0), (PREFILL, 90, 9), (DECODE, 290, 30)),
            ["TTFT 900 ms, median 300 ms: 800 ms of it before it was queued"],
        ),
        (
            told((QUEUED, 400, 0), (PREFILL, 350, 9), (ARRIVING, 250, 0), (DECODE, 290, 30)),
            [
                "TTFT 1.00 s, median 300 ms: 400 ms of it in the queue behind 7 requests, "
                "350 ms on 900 prompt tokens"
            ],
        ),
        (
            told(
                (QUEUED, 10, 0), (PREFILL, 90, 900), (DECODE, 150, 15), (PREEMPTED, 900, 0),
                (PREFILL, 100, 915), (DECODE, 150, 15),
            ),
            ["TPOT 45 ms, median 10 ms: 1.00 s of it preempted and computed again"],
        ),
        (
            told(
                (QUEUED, 10, 0), (PREFILL, 90, 900), (DECODE, 1_300, 30),
                longest_gap_us=1_000_000, longest_gap_start_us=200_000,
            ),
            ["TPOT 45 ms, median 10 ms: one gap of 1.00 s, 200 ms after its arrival"],
        ),
        (
            told((QUEUED, 10, 0), (PREFILL, 90, 900), (DECODE, 1_300, 30), longest_gap_us=60_000),
            ["TPOT 45 ms, median 10 ms: every step took longer, the longest 60 ms"],
        ),
        (
            told((QUEUED, 10, 0), (PREFILL, 90, 900), (DECODE, 4_000, 401)),
            ["E2E 4.10 s, median 1.00 s: 401 output tokens at the usual pace"],
        ),
        (
            told((QUEUED, 10, 0), (PREFILL, 90, 900), (DECODE, 290, 30)),
            ["no slower than others: TTFT 100 ms, median 300 ms; E2E 390 ms, median 1.00 s"],
        ),
        (
            told((QUEUED, 9_000, 0), state=RequestState.WAITING),
            ["no token after 9.00 s, median 300 ms: 9.00 s of it in the queue behind 7 requests"],
        ),
        (
            told((QUEUED, 100, 0), state=RequestState.WAITING),
            ["no token yet after 100 ms, median TTFT 300 ms"],
        ),
        (
            told((QUEUED, 100, 0), state=RequestState.FAILED, finish_reason="no memory"),
            ["failed after 100 ms: no memory"],
        ),
        (
            told((IntervalKind.CACHED, 2, 0)),
            ["answered from the response cache in 2.0 ms"],
        ),
    ],
)  # fmt: skip
def test_why_a_request_was_slow(request_: RequestTimeline, expected: list[str]) -> None:
    assert reasons(request_, usual()) == expected


def test_without_medians_nothing_is_called_slow() -> None:
    request = told((QUEUED, 9_000, 0), (PREFILL, 90, 900), (DECODE, 290, 30))
    assert reasons(request, Latency()) == [
        "nothing to compare it with: no request has ended in the window"
    ]


@given(
    st.integers(20, 200),
    st.integers(4, 30),
    glyph_sets,
    st.dictionaries(st.integers(0, 43), st.integers(1, 9_999), max_size=44),
)
def test_histograms_fit_and_show_every_step_that_has_any(
    width: int, height: int, glyphs: Glyphs, counts: dict[int, int]
) -> None:
    steps = [counts.get(step, 0) for step in range(44)]
    room = Room(width, height, glyphs)
    lines = histogram_lines({"ttft": steps, "tpot": [0] * 44, "e2e": steps}, room)
    assert len(lines) == height
    check(lines, room)
    text = "\n".join(line.plain for line in lines)
    assert "TTFT" in text
    if not counts:
        assert "none ended" in text


def test_the_footnote_says_what_is_not_in_sight() -> None:
    assert footnote(7, 7, 0).plain == ""
    assert footnote(7, 514, None).plain == "7 of 514"
    assert footnote(7, 514, 900).plain == "7 of 514, 900 more in the system"
