"""The order of the table, its filter and its choice, for any rows."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import RequestState
from prodtop.tui.state.request_table import STATES, Order, Shown, TableState
from prodtop.tui.state.requests import RequestRow

times_ms = st.none() | st.floats(0.0, 1e6)
row_values = st.builds(
    RequestRow,
    worker=st.integers(1, 2),
    request_id=st.just(0),
    state=st.sampled_from(RequestState),
    arrival_s=st.floats(0.0, 1e6),
    prompt_tokens=st.integers(1, 9),
    output_tokens=st.none() | st.integers(0, 9),
    cached_tokens=st.integers(0, 9),
    queue_ms=times_ms,
    ttft_ms=times_ms,
    tpot_ms=times_ms,
    e2e_ms=st.floats(0.0, 1e6),
    reason=st.sampled_from(["", "stop", "length", "NaN"]),
)
tables = st.lists(row_values, max_size=30).map(
    lambda rows: [replace(row, request_id=place) for place, row in enumerate(rows)]
)
states = st.builds(
    TableState,
    order=st.sampled_from(Order),
    descending=st.booleans(),
    shown=st.sampled_from(Shown),
)

FIELDS = {
    Order.PROMPT: "prompt_tokens",
    Order.OUTPUT: "output_tokens",
    Order.CACHED: "cached_tokens",
    Order.QUEUE: "queue_ms",
    Order.TTFT: "ttft_ms",
    Order.TPOT: "tpot_ms",
    Order.E2E: "e2e_ms",
}


def known(values: list[float | None]) -> list[float]:
    return [each for each in values if each is not None]


@given(tables, states)
def test_every_order_sorts_and_puts_what_is_missing_last(
    rows: list[RequestRow], table: TableState
) -> None:
    arranged = table.arranged(rows)
    assert {row.key for row in arranged} == {
        row.key for row in rows if row.state in STATES[table.shown]
    }
    if table.order in FIELDS:
        values = [getattr(row, FIELDS[table.order]) for row in arranged]
        measured = known(values)
        assert values == [*measured, *[None] * (len(values) - len(measured))]
        assert measured == sorted(measured, reverse=table.descending)
    if table.order is Order.ID:
        ids = [(row.worker, row.request_id) for row in arranged]
        assert ids == sorted(ids, reverse=table.descending)


@given(tables)
def test_by_default_the_newest_come_first(rows: list[RequestRow]) -> None:
    ids = [(row.worker, row.request_id) for row in TableState().arranged(rows)]
    assert ids == sorted(ids, reverse=True)


@given(tables)
def test_the_filters_part_the_requests(rows: list[RequestRow]) -> None:
    parts = [
        row.key
        for shown in Shown
        if shown is not Shown.ALL
        for row in TableState(shown=shown).arranged(rows)
    ]
    assert sorted(parts) == sorted(row.key for row in rows)


@given(tables, st.lists(st.integers(-12, 12).filter(bool), min_size=1), states)
def test_the_choice_stays_among_the_rows_and_follows_its_own(
    rows: list[RequestRow], moves: list[int], other: TableState
) -> None:
    table = TableState()
    arranged = table.arranged(rows)
    for steps in moves:
        table = table.moved(arranged, steps)
        assert (table.place(arranged) is not None) == bool(arranged)
    elsewhere = replace(other, chosen=table.chosen)
    place = elsewhere.place(elsewhere.arranged(rows))
    if place is not None:
        assert elsewhere.arranged(rows)[place].key == table.chosen


def test_a_column_sorts_and_once_more_turns_round() -> None:
    table = TableState().sorted_by(Order.TTFT)
    assert (table.order, table.descending) == (Order.TTFT, True)
    assert not table.sorted_by(Order.TTFT).descending
    orders, shown = set(), set()
    for _ in Order:
        table = table.next_order().next_shown()
        orders.add(table.order)
        shown.add(table.shown)
    assert (orders, shown) == (set(Order), set(Shown))
