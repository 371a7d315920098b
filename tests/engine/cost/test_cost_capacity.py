"""Capacity against queueing theory, and GPUs for a load against counting them one by one."""

import math

import pytest
from comparisons import cell, comparison, latency, result
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.compare.cells import Comparison, Measured
from prodtop.engine.compare.curves import curves
from prodtop.engine.compare.samples import NO_LIMITS, Limits
from prodtop.engine.cost.capacity import (
    ByCurve,
    Capacity,
    by_curve,
    by_little,
    gpus,
    of_comparison,
)


def mm1(service_rate: float, tenths: range) -> Comparison:
    """A queue of Markov's kind, M/M/1, measured at tenths of its capacity: W = 1 ÷ (μ − λ)."""
    cells = []
    for tenth in tenths:
        rate = service_rate * tenth / 10
        mean_ms = 1e3 / (service_rate - rate)
        of = cell(rate=rate)
        p95 = latency(math.log(20) * mean_ms)
        repeat = result(of, req_s=rate, e2e_ms=p95)
        cells.append(Measured(cell=of, repeats=[repeat] * 6))
    return comparison(*cells)


def test_without_limits_the_knee_of_an_mm1_queue_is_half_its_capacity() -> None:
    (curve,) = curves(mm1(20.0, range(1, 10)))
    found = by_curve(curve)
    assert found is not None
    assert found.req_s == pytest.approx(10.0)
    assert found.load == "10/s"
    assert not found.at_least
    assert found.reason == "knee at 10/s"


def test_a_limit_below_the_knee_ends_it_first_and_one_beyond_does_not() -> None:
    """p95 = ln 20 ÷ (μ − λ): 200 ms is kept up to μ − 14.98 = 5.02 requests a second."""
    strict = by_curve(curves(mm1(20.0, range(1, 10)), limits=Limits(e2e_ms=200.0))[0])
    assert strict is not None
    assert (strict.load, strict.reason) == ("4/s", "limits missed at 6/s")
    lax = by_curve(curves(mm1(20.0, range(1, 10)), limits=Limits(e2e_ms=1000.0))[0])
    assert lax is not None
    assert (lax.load, lax.reason) == ("10/s", "knee at 10/s")
    none = by_curve(curves(mm1(20.0, range(1, 10)), limits=Limits(e2e_ms=1.0))[0])
    assert none is None


def test_a_curve_that_was_not_measured_far_enough_is_a_lower_bound() -> None:
    found = by_curve(curves(mm1(20.0, range(1, 5)), limits=NO_LIMITS)[0])
    assert found is not None
    assert found.at_least
    assert (found.load, found.reason) == ("8/s", "no knee and no missed limit up to 8/s")


@given(target=st.floats(0.01, 1e6), each=st.floats(0.01, 1e4))
def test_so_many_gpus_take_the_load_and_one_less_does_not(target: float, each: float) -> None:
    found = gpus(target, each)
    assert found is not None
    assert found * each >= target * (1 - 1e-6)
    assert found == 1 or (found - 1) * each < target


@pytest.mark.parametrize(("target", "each"), [(None, 5.0), (5.0, None), (5.0, 0.0)])
def test_an_unknown_load_or_capacity_gives_no_number(
    target: float | None, each: float | None
) -> None:
    assert gpus(target, each) is None


def test_exact_multiples_are_not_rounded_up() -> None:
    assert gpus(0.3, 0.1) == 3
    assert gpus(300.0, 100.0) == 3
    assert gpus(300.1, 100.0) == 4


def test_littles_law_is_slots_over_residence() -> None:
    found = by_little(8, 0.5)
    assert found is not None
    assert found.req_s == 16.0
    assert by_little(None, 0.5) is None
    assert by_little(8, None) is None
    assert by_little(8, 0.0) is None


@pytest.mark.parametrize(
    ("slots", "words"),
    [(10, "both agree within 10 %"), (30, "×3.00: requests stay longer"), (5, "×0.500: its")],
)
def test_their_disagreement_is_told(slots: int, words: str) -> None:
    curve = ByCurve(req_s=10.0, load="8 users", at_least=False, reason="knee at 8 users")
    found = Capacity(target_req_s=25.0, by_curve=curve, by_little=by_little(slots, 1.0))
    assert found.disagreement is not None
    assert words in found.disagreement
    assert found.gpus_by_curve == 3
    assert found.gpus_by_little == math.ceil(25 / slots)
    assert Capacity(target_req_s=25.0, by_curve=None, by_little=None).disagreement is None


def test_of_a_comparison_alone_w_is_that_of_the_lightest_load() -> None:
    found = mm1(20.0, range(1, 10))
    (curve,) = curves(found)
    estimate = of_comparison(found, curve, 40.0)
    assert estimate.by_little is not None
    # `latency` has its mean at half of p95; 32 sequences at once.
    assert estimate.by_little.residence_s == pytest.approx(math.log(20) / 18 / 2)
    assert estimate.by_little.slots == 32
    assert estimate.gpus_by_curve == 4
