"""A worker's counters over the deaths of workers: nothing that was counted is ever uncounted."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol import PrecisionName, StrategyName
from prodtop.engine.protocol.served import EngineMetrics, ExportedHistogram
from prodtop.engine.server.carried_metrics import LOST, CarriedMetrics

BUCKETS = 3
steps = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from("abc"), st.integers(0, 9), max_size=3),
        st.lists(st.integers(0, 9), min_size=BUCKETS, max_size=BUCKETS),
        st.dictionaries(st.sampled_from(["stop", "length", "error"]), st.integers(0, 3)),
    ),
    max_size=4,
)
"""Of one worker, between two answers: growth of counters, of buckets, of requests by reason."""
lives = st.lists(st.tuples(steps, st.integers(0, 4)), min_size=1, max_size=4)
"""Workers, and how many requests each took with it."""


def metrics(
    started_s: float, counters: dict[str, float], buckets: list[int], reasons: dict[str, int]
) -> EngineMetrics:
    return EngineMetrics(
        ask_id=0,
        started_at_wall_s=started_s,
        model="m",
        strategy=StrategyName.HYBRID,
        precision=PrecisionName.BF16,
        counters=dict(counters),
        gauges={"running": 1.0},
        histograms={"ttft": ExportedHistogram(counts=list(buckets), total=float(sum(buckets)))},
        by_reason=dict(reasons),
    )


def answers(growth: list[tuple[dict[str, int], list[int], dict[str, int]]]) -> list[EngineMetrics]:
    """A worker that counts from zero."""
    counters: dict[str, float] = {}
    reasons: dict[str, int] = {}
    buckets = [0] * BUCKETS
    told: list[EngineMetrics] = []
    for more_counters, more_buckets, more_reasons in growth:
        for name, number in more_counters.items():
            counters[name] = counters.get(name, 0.0) + number
        for name, number in more_reasons.items():
            reasons[name] = reasons.get(name, 0) + number
        buckets = [a + b for a, b in zip(buckets, more_buckets, strict=True)]
        told.append(metrics(10.0 * len(told), counters, buckets, reasons))
    return told


@given(lives=lives)
@settings(deadline=None)
def test_sums_are_those_of_all_workers_and_never_go_back(
    lives: list[tuple[list[tuple[dict[str, int], list[int], dict[str, int]]], int]],
) -> None:
    carried, seen = CarriedMetrics(), []
    last: list[EngineMetrics] = []
    lost = 0
    for growth, in_flight in lives:
        told = answers(growth)
        for each in told:
            carried.take(each)
            total = carried.total()
            assert total is not None
            assert total.gauges == each.gauges
            seen.append(total)
        last += told[-1:]
        carried.close_worker(in_flight)
        lost += in_flight
        after = carried.total()
        assert (after is None) == (not last)
        if after is not None:
            assert after.gauges == {}
            seen.append(after)
    for before, now in pairwise(seen):
        for counts in ("counters", "by_reason"):
            for name, number in getattr(before, counts).items():
                assert getattr(now, counts)[name] >= number
        assert all(
            a <= b
            for a, b in zip(
                before.histograms["ttft"].counts, now.histograms["ttft"].counts, strict=True
            )
        )
    if last:
        total = seen[-1]
        for name in "abc":
            own = sum(each.counters.get(name, 0.0) for each in last)
            assert total.counters.get(name, 0.0) == own
        assert total.histograms["ttft"].total == sum(each.histograms["ttft"].total for each in last)
        errors = sum(each.by_reason.get(LOST, 0) for each in last)
        assert total.by_reason.get(LOST, 0) == errors + lost


def test_what_was_lost_before_the_first_answer_is_counted_with_it() -> None:
    carried = CarriedMetrics()
    carried.close_worker(3)
    assert carried.total() is None
    carried.take(metrics(5.0, {"a": 1.0}, [0, 0, 0], {"stop": 1}))
    total = carried.total()
    assert total is not None
    assert total.by_reason == {"stop": 1, LOST: 3}
