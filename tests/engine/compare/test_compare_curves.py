"""The knee against queueing theory and by its definition over random curves."""

import math

import pytest
from comparisons import around, cell, comparison, measured, result, sample
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.compare.cells import Measured
from prodtop.engine.compare.curves import LoadPoint, at_limits, curves, describe_at_limits, knee
from prodtop.engine.compare.median import Median
from prodtop.engine.compare.samples import Limits
from prodtop.engine.protocol import LoadSpec


def exact(value: float) -> Median:
    return Median(value=value, low=value, high=value, confidence=0.97, count=6)


def around_value(value: float, half: float) -> Median:
    return Median(value=value, low=value - half, high=value + half, confidence=0.97, count=6)


def point(rate: float, req_s: float, power: Median | None, *, within: bool = True) -> LoadPoint:
    return LoadPoint(
        load=LoadSpec(rate_per_s=rate),
        label=f"{rate:g}/s",
        req_s=exact(req_s),
        output_tok_s=None,
        latency_ms=exact(1.0),
        power=power,
        goodput_req_s=None,
        in_system=None,
        rate_times_residence=None,
        within_limits=within,
    )


@pytest.mark.parametrize("service_rate", [10.0, 50.0])
def test_the_knee_of_an_mm1_queue_is_at_half_of_its_capacity(service_rate: float) -> None:
    """Response time 1/(μ − λ), any percentile of it a multiple: Kleinrock's own example."""
    cells = []
    for tenth in range(1, 10):
        rate = service_rate * tenth / 10
        p95_ms = math.log(20) / (service_rate - rate) * 1e3
        of = cell(rate=rate)
        repeats = [result(of, req_s=rate, p95_ms=p95_ms) for _ in range(6)]
        cells.append(Measured(cell=of, repeats=repeats))
    (curve,) = curves(comparison(*cells))
    assert curve.knee is not None
    assert curve.points[curve.knee.best].load.rate_per_s == pytest.approx(service_rate / 2)
    assert (curve.knee.first, curve.knee.last, curve.knee.inside) == (4, 4, True)
    assert "throughput grows ×1.20 and E2E p95 ×1.25" in curve.knee.explanation


@given(
    st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 20)), min_size=3, max_size=12),
)
def test_the_knee_is_the_highest_power_and_its_indistinguishable_neighbours(
    powers: list[tuple[float, float]],
) -> None:
    medians = [around_value(value, half) for value, half in powers]
    found = knee([point(n + 1, n + 1, each) for n, each in enumerate(medians)], "E2E p95")
    assert found is not None
    assert found.first <= found.best <= found.last
    top = medians[found.best]
    assert top.value == max(each.value for each in medians)
    inside = medians[found.first : found.last + 1]
    assert all(each.high >= top.low for each in inside)
    if found.first > 0:
        assert medians[found.first - 1].high < top.low
    if found.last < len(medians) - 1:
        assert medians[found.last + 1].high < top.low
    assert found.inside == (found.first > 0 and found.last < len(medians) - 1)
    assert found.explanation.startswith("no knee") == (found.last == len(medians) - 1)


def test_two_points_have_no_knee_and_missing_latencies_are_passed_over() -> None:
    assert knee([point(1, 1, exact(1)), point(2, 2, exact(2))], "E2E") is None
    points = [
        point(1, 1, exact(1)),
        point(2, 2, None),
        point(3, 3, exact(3)),
        point(4, 4, exact(2)),
    ]
    found = knee(points, "E2E")
    assert found is not None
    assert found.best == 2


def test_a_curve_is_one_cell_over_its_loads_the_lightest_first() -> None:
    found = curves(
        comparison(
            *(
                measured(cell(strategy, users=users), around(users * 10.0))
                for strategy in ("hybrid", "single")
                for users in (16, 1, 4)
            ),
            measured(cell("cached"), around(3.0)),
        )
    )
    assert [curve.label for curve in found] == ["hybrid bf16", "single bf16"]
    for curve in found:
        assert [each.label for each in curve.points] == ["1 user", "4 users", "16 users"]
        assert [each.req_s.value for each in curve.points] == pytest.approx([1.0, 4.0, 16.0])


def test_rates_and_users_are_curves_of_their_own() -> None:
    cells = [cell(users=users) for users in (1, 2)] + [cell(rate=rate) for rate in (1.0, 2.0)]
    found = curves(comparison(*(measured(each, around(9.0)) for each in cells)))
    assert [[each.label for each in curve.points] for curve in found] == [
        ["1 user", "2 users"], ["1/s", "2/s"],
    ]  # fmt: skip


def test_the_limits_allow_the_most_that_was_measured_within_them() -> None:
    points = [
        point(1, 1.0, None),
        point(2, 2.0, None),
        point(4, 3.0, None, within=False),
    ]
    found = at_limits(points)
    assert (found.load, found.beyond) == ("2/s", "4/s")
    assert describe_at_limits(found) == "2.00 req/s at 2/s; missed at 4/s"
    assert describe_at_limits(at_limits(points[:2])).endswith("none beyond missed")
    assert "missed at every load" in describe_at_limits(at_limits(points[2:]))


def test_within_limits_is_the_p95_of_every_limited_latency() -> None:
    samples = [sample(n * 0.1) for n in range(20)]
    cells = [
        Measured(
            cell=cell(users=users),
            repeats=[result(cell(users=users), p95_ms=p95, samples=samples) for _ in range(6)],
        )
        for users, p95 in ((1, 100.0), (2, 200.0), (3, 300.0))
    ]
    (curve,) = curves(comparison(*cells), limits=Limits(e2e_ms=200.0, ttft_ms=60.0))
    assert [each.within_limits for each in curve.points] == [True, True, False]
    (curve,) = curves(comparison(*cells), limits=Limits(e2e_ms=200.0, ttft_ms=49.0))
    assert [each.within_limits for each in curve.points] == [True, False, False]
    (curve,) = curves(comparison(*cells))
    assert curve.at_limits is None
    assert curve.points[0].goodput_req_s is None
    assert curve.points[0].in_system is not None
