"""What binds the engine, told from shares of time, of ceilings and of steps."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.metrics.collector import Metrics
from prodtop.engine.metrics.limits import Situation, verdict
from prodtop.engine.protocol import AdmissionCounts, Bound, PreemptionCause, Refusal

SHARE = st.floats(0.0, 1.0)
BUSY = Situation(active=1.0, busy=1.0, mbu=0.15, mfu=0.05)
"""A device that works all the time, far from its ceilings."""


def refused(steps: int = 10, **counts: int) -> AdmissionCounts:
    """Steps of which some left a request waiting: `refused(cap=9)`."""
    names = {
        "cap": Refusal.SEQUENCE_CAP,
        "budget": Refusal.TOKEN_BUDGET,
        "blocks": Refusal.KV_BLOCKS,
        "gang": Refusal.GANG,
    }
    return AdmissionCounts(
        steps=steps, refused={names[name]: count for name, count in counts.items()}
    )


PREEMPTING = AdmissionCounts(steps=10, preempted={PreemptionCause.KV_BLOCKS: 3})

SITUATIONS = (
    ("some idle time", replace(BUSY, active=0.6, busy=0.5), Bound.NO_WORK, 0.4),
    ("nothing at all", Situation(active=0.0, busy=0.0, mbu=0.0, mfu=0.0), Bound.NO_WORK, 1.0),
    ("between steps", replace(BUSY, busy=0.65, mbu=0.5), Bound.HOST, 0.35),
    ("near the copy", replace(BUSY, busy=0.95, mbu=0.76), Bound.BANDWIDTH, 0.8),
    ("near the matmul", replace(BUSY, mfu=0.6), Bound.COMPUTE, 0.6),
    ("far from both", BUSY, Bound.SMALL_OPERATIONS, 0.85),
    (
        "a full batch",
        replace(BUSY, admission=refused(cap=9), kv_used=0.12),
        Bound.SEQUENCE_CAP,
        0.9,
    ),
    ("a gang under way", replace(BUSY, admission=refused(gang=10)), Bound.SEQUENCE_CAP, 1.0),
    ("long prompts", replace(BUSY, admission=refused(budget=7)), Bound.TOKEN_BUDGET, 0.7),
    (
        "no blocks left",
        replace(BUSY, admission=refused(blocks=8), kv_used=0.99),
        Bound.KV_MEMORY,
        0.99,
    ),
    ("preempting", replace(BUSY, admission=PREEMPTING, kv_used=0.99), Bound.KV_MEMORY, 0.99),
    (
        "preempting at the peak",
        replace(BUSY, mfu=0.9, admission=PREEMPTING, kv_used=0.97),
        Bound.KV_MEMORY,
        0.97,
    ),
    (
        "a full batch at the peak",
        replace(BUSY, mfu=0.8, admission=refused(cap=10)),
        Bound.COMPUTE,
        0.8,
    ),
    (
        "a full batch between steps",
        replace(BUSY, busy=0.5, admission=refused(cap=10)),
        Bound.SEQUENCE_CAP,
        1.0,
    ),
    ("seldom refused", replace(BUSY, admission=refused(cap=2)), Bound.SMALL_OPERATIONS, 0.85),
    (
        "a full cache that nobody waits for",
        replace(BUSY, kv_used=1.0),
        Bound.SMALL_OPERATIONS,
        0.85,
    ),
    (
        "sent back by a switch alone",
        replace(BUSY, admission=AdmissionCounts(steps=9, preempted={PreemptionCause.SWITCH: 5})),
        Bound.SMALL_OPERATIONS,
        0.85,
    ),
    ("a graph is captured", replace(BUSY, compiling=0.4), Bound.COMPILING, 0.4),
    (
        "compiling before the first step",
        Situation(active=None, busy=None, mbu=None, mfu=None, compiling=1.0),
        Bound.COMPILING,
        1.0,
    ),
    ("a moment of compiling", replace(BUSY, compiling=0.05), Bound.SMALL_OPERATIONS, 0.85),
)


@pytest.mark.parametrize(
    ("situation", "bound", "share"),
    [case[1:] for case in SITUATIONS],
    ids=[case[0] for case in SITUATIONS],
)
def test_each_situation_is_told_with_its_figure(
    situation: Situation, bound: Bound, share: float
) -> None:
    found = verdict(situation)
    assert found is not None
    assert found.bound is bound
    assert found.share == pytest.approx(share)


def test_the_table_has_every_bound() -> None:
    assert {case[2] for case in SITUATIONS} == set(Bound)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Whatever may have been measured, ceilings and all."""
    steps = draw(st.integers(0, 50))
    reasons = draw(st.permutations(list(Refusal)))
    counts, left = {}, steps
    for reason in reasons:
        counts[reason] = draw(st.integers(0, left))
        left -= counts[reason]
    preempted = draw(st.dictionaries(st.sampled_from(PreemptionCause), st.integers(1, 99)))
    return Situation(
        active=draw(SHARE),
        busy=draw(SHARE),
        mbu=draw(SHARE),
        mfu=draw(SHARE),
        compiling=draw(SHARE),
        admission=AdmissionCounts(steps=steps, refused=counts, preempted=preempted),
        kv_used=draw(SHARE),
    )


@given(situations())
def test_exactly_one_verdict_comes_with_its_figure(situation: Situation) -> None:
    found = verdict(situation)
    assert found is not None
    assert found.bound in Bound
    assert found.share >= 0.0
    assert math.isfinite(found.share)
    if found.bound not in (Bound.BANDWIDTH, Bound.COMPUTE):
        assert found.share <= 1.0


@given(situations())
def test_who_waits_for_nothing_is_not_kept_out(situation: Situation) -> None:
    alone = replace(situation, admission=AdmissionCounts(steps=5))
    found = verdict(alone)
    assert found is not None
    assert found.bound not in (Bound.SEQUENCE_CAP, Bound.TOKEN_BUDGET, Bound.KV_MEMORY)


@pytest.mark.parametrize(("active", "busy"), [(None, None), (None, 0.0), (1.0, None)])
def test_nothing_is_said_before_anything_was_measured(
    active: float | None, busy: float | None
) -> None:
    assert verdict(Situation(active=active, busy=busy, mbu=0.5, mfu=0.5)) is None


def test_without_ceilings_only_what_needs_none_can_be_told() -> None:
    assert verdict(Situation(active=1.0, busy=1.0, mbu=None, mfu=0.5)) is None
    waiting = verdict(Situation(active=1.0, busy=0.5, mbu=None, mfu=None))
    assert waiting is not None
    assert waiting.bound is Bound.HOST
    capped = verdict(Situation(active=1.0, busy=1.0, mbu=None, mfu=None, admission=refused(cap=10)))
    assert capped is not None
    assert capped.bound is Bound.SEQUENCE_CAP


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
    assert idle.verdict.bound is Bound.NO_WORK


def test_time_spent_compiling_is_told() -> None:
    metrics = Metrics(0.0)
    metrics.limits.on_active(True, 0.0)
    metrics.limits.on_compiled(0.6, 2.0)
    found = metrics.limits.roofline(2.0, copy_bytes_per_s=None, matmul_flops_per_s=None)
    assert found.verdict is not None
    assert found.verdict.bound is Bound.COMPILING
    assert found.verdict.share == pytest.approx(0.6, abs=0.1)
