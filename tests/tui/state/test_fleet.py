"""Who stands out in a fleet, in which order rows stand, and what they come to."""

import pytest
from fleet_samples import LLAMA, QWEN, replica, sample
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.protocol import FleetSample, Replica
from prodtop.tui.state.fleet import (
    CURVE_SAMPLES,
    INKS,
    FleetBook,
    FleetOrder,
    Group,
    Order,
    Row,
    Word,
    judged,
    shown_rows,
    totals,
)


def book(*samples: FleetSample, usd_per_hour: float | None = None) -> FleetBook:
    found = FleetBook()
    for each in samples:
        found.take(each, usd_per_hour)
    return found


def rows(usd_per_hour: float | None = None) -> dict[str, Row]:
    return {row.replica.name: row for row in judged(sample().replicas, usd_per_hour)}


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("gpu-00:8000", Word.OK),
        ("gpu-05:8000", Word.OVERLOADED),
        ("gpu-06:8000", Word.KV_FULL),
        ("gpu-07:8000", Word.SLOW),
        ("gpu-08:8000", Word.OUTLIER),
        ("gpu-09:8000", Word.DOWN),
        ("small-b", Word.IDLE),
    ],
)
def test_each_trouble_has_its_word_and_its_reason(name: str, word: Word) -> None:
    row = rows()[name]
    assert row.word is word
    assert bool(row.reason) == (word not in (Word.OK, Word.IDLE))


def test_two_replicas_of_a_model_are_no_outliers_of_each_other() -> None:
    pair = [replica(0, decode_tok_s=100.0), replica(1, decode_tok_s=3000.0)]
    assert [row.word for row in judged(pair, None)] == [Word.OK, Word.OK]


def test_a_silent_server_is_stale_and_one_not_heard_of_is_waited_for() -> None:
    silent, new = replica(0, age_s=9.0, stale=True), Replica(name="new")
    assert [row.word for row in judged([silent, new], None)] == [Word.STALE, Word.WAITING]


def test_tokens_cost_what_the_hour_costs() -> None:
    # 2,400 tokens a second are 8.64 million an hour.
    assert rows(4.32)["gpu-00:8000"].usd_per_million == pytest.approx(0.5)
    assert rows()["gpu-00:8000"].usd_per_million is None
    assert rows(4.32)["small-b"].usd_per_million is None


def test_the_worst_come_first_and_a_filter_takes_all_its_words() -> None:
    fleet = book(sample()).now
    assert fleet is not None
    (shown,) = shown_rows(fleet, FleetOrder()).values()
    assert [row.word for row in shown] == sorted((row.word for row in shown), key=list(Word).index)
    (found,) = shown_rows(fleet, FleetOrder(wanted="llama down")).values()
    assert [row.replica.name for row in found] == ["gpu-09:8000"]
    assert shown_rows(fleet, FleetOrder(wanted="nowhere")) == {}


def test_groups_hold_every_row_once() -> None:
    fleet = book(sample()).now
    assert fleet is not None
    for group in Group:
        groups = shown_rows(fleet, FleetOrder(group=group))
        names = [row.replica.name for members in groups.values() for row in members]
        assert sorted(names) == sorted(each.name for each in sample().replicas)
    assert list(shown_rows(fleet, FleetOrder(group=Group.MODEL))) == [QWEN, LLAMA]


def test_curves_are_bounded_and_forget_who_left() -> None:
    found = book(*(sample(float(second)) for second in range(2 * CURVE_SAMPLES)))
    assert found.now is not None
    assert all(len(row.curve) == CURVE_SAMPLES for row in found.now.rows)
    found.take(FleetSample(at_s=0.0, wall_s=0.0, chosen="", replicas=[replica(3)]), None)
    assert [row.replica.name for row in found.now.rows] == ["gpu-03:8000"]


MAYBE = st.none() | st.floats(0, 1e6)
REPLICAS = st.lists(
    st.builds(
        Replica,
        name=st.text(max_size=4),
        model=st.sampled_from(["a", "b", ""]),
        running=st.none() | st.integers(0, 99),
        waiting=st.none() | st.integers(0, 99),
        kv_used=st.none() | st.floats(0, 1),
        ttft_p95_ms=MAYBE,
        decode_tok_s=MAYBE,
        age_s=MAYBE,
        down=st.none() | st.just("gone"),
    ),
    max_size=12,
)


@given(REPLICAS, st.sampled_from(Order), st.booleans(), st.sampled_from(Group))
def test_any_fleet_is_judged_sorted_and_summed(
    replicas: list[Replica], order: Order, descending: bool, group: Group
) -> None:
    found = book(FleetSample(at_s=0.0, wall_s=0.0, chosen="", replicas=replicas), usd_per_hour=1.0)
    assert found.now is not None
    groups = shown_rows(found.now, FleetOrder(order, descending, group))
    shown = [row for members in groups.values() for row in members]
    assert len(shown) == len(replicas)
    all_of = totals(shown)
    assert all_of.replicas == len(replicas)
    assert sum(all_of.wrong.values()) <= len(replicas)
    assert all(row.word in INKS for row in shown)
