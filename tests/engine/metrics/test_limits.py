"""What limits the engine, told from shares of time and of ceilings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.metrics.collector import Metrics
from prodtop.engine.metrics.limits import verdict
from prodtop.engine.protocol import Bound

SHARE = st.floats(0.0, 1.0)


@pytest.mark.parametrize(
    ("active", "busy", "mbu", "mfu", "bound", "share"),
    [
        (0.6, 0.5, 0.4, 0.1, Bound.QUEUE, 0.4),
        (0.0, 0.0, 0.0, 0.0, Bound.QUEUE, 1.0),
        (1.0, 0.65, 0.5, 0.1, Bound.HOST, 0.35),
        (1.0, 0.95, 0.76, 0.1, Bound.BANDWIDTH, 0.8),
        (1.0, 1.0, 0.2, 0.7, Bound.COMPUTE, 0.7),
        (1.0, 1.0, 0.15, 0.05, Bound.LATENCY, 0.85),
    ],
)
def test_each_bound_is_told_with_its_share(
    active: float, busy: float, mbu: float, mfu: float, bound: Bound, share: float
) -> None:
    found = verdict(active=active, busy=busy, mbu=mbu, mfu=mfu)
    assert found is not None
    assert found.bound is bound
    assert found.share == pytest.approx(share)


@pytest.mark.parametrize(("active", "busy"), [(None, None), (None, 0.0), (1.0, None)])
def test_nothing_is_said_before_anything_was_measured(
    active: float | None, busy: float | None
) -> None:
    assert verdict(active=active, busy=busy, mbu=0.5, mfu=0.5) is None


def test_without_ceilings_only_waiting_can_be_told() -> None:
    assert verdict(active=1.0, busy=1.0, mbu=None, mfu=0.5) is None
    waiting = verdict(active=1.0, busy=0.5, mbu=None, mfu=None)
    assert waiting is not None
    assert waiting.bound is Bound.HOST


@given(SHARE, SHARE, SHARE, SHARE)
def test_a_share_of_lost_time_is_a_share(
    active: float, busy: float, mbu: float, mfu: float
) -> None:
    found = verdict(active=active, busy=busy, mbu=mbu, mfu=mfu)
    if found is not None and found.bound in (Bound.QUEUE, Bound.HOST, Bound.LATENCY):
        assert 0.0 <= found.share <= 1.0


def test_the_collector_tells_it_from_steps_and_idle_time() -> None:
    metrics = Metrics(0.0)
    metrics.limits.on_active(True, 0.0)
    for tenth in range(1, 11):
        metrics.on_step(tenth / 10, bytes_read=8.0, flops=1.0, device_s=0.04)
    found = metrics.limits.roofline(
        1.0, copy_bytes_per_s=100.0, matmul_flops_per_s=100.0, span_s=1.0
    )
    assert found.active == pytest.approx(1.0)
    assert found.busy == pytest.approx(0.4)
    assert found.verdict is not None
    assert found.verdict.bound is Bound.HOST
    metrics.limits.on_active(False, 1.0)
    idle = metrics.limits.roofline(
        2.0, copy_bytes_per_s=100.0, matmul_flops_per_s=100.0, span_s=2.0
    )
    assert idle.verdict is not None
    assert idle.verdict.bound is Bound.QUEUE
