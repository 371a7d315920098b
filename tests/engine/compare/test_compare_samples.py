"""Goodput and Little's law against counting by hand and by small steps of time."""

import numpy as np
import pytest
from comparisons import result, sample
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.compare.samples import (
    Limits,
    attainment,
    cache_speedup,
    goodput_req_s,
    little,
    missed_share,
)
from prodtop.engine.protocol import RequestSample

MS = st.floats(0.1, 1000.0)
SAMPLES = st.lists(
    st.builds(
        sample,
        st.floats(0.0, 10.0),
        e2e_ms=st.none() | MS,
        ttft_ms=st.none() | MS,
        tpot_ms=st.none() | MS,
        response_hit=st.booleans(),
    ),
    max_size=30,
)
LIMITS = st.builds(
    Limits,
    ttft_ms=st.none() | MS,
    ttfb_ms=st.none() | MS,
    tpot_ms=st.none() | MS,
    e2e_ms=st.none() | MS,
)


@given(SAMPLES, LIMITS, st.integers(0, 5))
def test_goodput_counts_the_requests_that_meet_every_limit(
    samples: list[RequestSample], limits: Limits, rejected: int
) -> None:
    good = 0
    for each in samples:
        late = False
        for name in ("ttft_ms", "ttfb_ms", "tpot_ms", "e2e_ms"):
            limit, value = getattr(limits, name), getattr(each, name)
            late = late or (limit is not None and value is not None and value > limit)
        good += each.finished and not late
    found = result(samples=samples, rejected=rejected, duration_s=4.0)
    assert goodput_req_s(found, limits) == good / 4.0
    total = len(samples) + rejected
    assert attainment(found, limits) == (good / total if total else None)


@given(SAMPLES, LIMITS)
def test_tighter_limits_never_give_more_goodput(
    samples: list[RequestSample], limits: Limits
) -> None:
    found = result(samples=samples)
    tighter = Limits(**{name: value / 2 for name, value in limits.given().items()})
    loose, tight = goodput_req_s(found, limits), goodput_req_s(found, tighter)
    assert loose is not None
    assert tight is not None
    assert tight <= loose
    for name, share in missed_share(found, tighter).items():
        assert share >= missed_share(found, limits)[name]


@pytest.mark.parametrize("seed", range(5))
def test_littles_law_is_that_of_a_simulation_in_small_steps(seed: int) -> None:
    random = np.random.default_rng(seed)
    arrivals = np.cumsum(random.exponential(0.05, 80))
    residence = random.uniform(0.05, 1.0, 80)
    samples = [
        sample(float(at - arrivals[0]), e2e_ms=float(stay) * 1e3)
        for at, stay in zip(arrivals, residence, strict=True)
    ]
    found = little(samples)
    assert found is not None
    begins = np.array([each.arrival_s for each in samples])
    ends = np.array([each.end_s for each in samples])
    last = begins.max()
    times = np.linspace(last / 4, last * 3 / 4, 20_000, endpoint=False)
    inside = (begins <= times[:, None]) & (times[:, None] < ends)
    assert found.in_system == pytest.approx(inside.sum(axis=1).mean(), rel=2e-3)
    came = (begins >= last / 4) & (begins < last * 3 / 4)
    rate = came.sum() / (last / 2)
    assert found.rate_times_residence == pytest.approx(rate * (ends - begins)[came].mean())


def test_in_steady_state_both_sides_of_littles_law_agree() -> None:
    """An M/M/∞ queue: L is the arrival rate times the mean service."""
    random = np.random.default_rng(3)
    arrivals = np.cumsum(random.exponential(1 / 50, 20_000))
    service = random.exponential(0.3, 20_000)
    found = little(
        [
            sample(float(at - arrivals[0]), e2e_ms=float(stay) * 1e3)
            for at, stay in zip(arrivals, service, strict=True)
        ]
    )
    assert found is not None
    assert found.in_system == pytest.approx(15.0, rel=0.05)
    assert found.rate_times_residence == pytest.approx(found.in_system, rel=0.02)


def test_in_a_system_that_fills_up_the_two_sides_part() -> None:
    """Each request stays longer than the one before: those that come now are not yet in L."""
    found = little([sample(n * 0.1, e2e_ms=n * 500.0) for n in range(100)])
    assert found is not None
    assert found.rate_times_residence > found.in_system * 1.5


def test_nothing_has_no_figures() -> None:
    assert little([]) is None
    assert little([sample(), sample()]) is None
    assert cache_speedup(result(samples=[sample()])) is None
    assert cache_speedup(result(samples=[sample(response_hit=True)])) is None
    assert goodput_req_s(result(), Limits(e2e_ms=1.0)) is None
    assert goodput_req_s(result(samples=[], duration_s=0.0), Limits(e2e_ms=1.0)) is None
