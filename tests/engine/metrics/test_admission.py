"""Why requests wait, counted by step and by window."""

import pytest
from prodtop.engine.metrics.admission import AdmissionMeter
from prodtop.engine.protocol import WINDOW_SECONDS, PreemptionCause, Refusal, Window

SPANS_S = {Window.SWITCH: float("inf"), **WINDOW_SECONDS}


def test_each_window_has_the_reasons_of_its_time() -> None:
    meter = AdmissionMeter(0.0)
    for second in range(1, 31):
        refusal = Refusal.SEQUENCE_CAP if second <= 15 else Refusal.KV_BLOCKS
        meter.on_plan(refusal, preempted=second == 30, now_s=float(second))
    windows = meter.all_windows(SPANS_S, 30.5)
    assert windows[Window.SESSION].steps == 30
    assert windows[Window.M1].refused == {Refusal.SEQUENCE_CAP: 15, Refusal.KV_BLOCKS: 15}
    assert windows[Window.S10].refused == {Refusal.KV_BLOCKS: windows[Window.S10].steps}
    assert windows[Window.S10].preempted == {PreemptionCause.KV_BLOCKS: 1}
    assert windows[Window.S10].refused_share(Refusal.KV_BLOCKS) == 1.0


def test_steps_that_keep_nobody_waiting_count_as_steps() -> None:
    meter = AdmissionMeter(0.0)
    meter.on_plan(None, 0, 0.5)
    meter.on_plan(Refusal.TOKEN_BUDGET, 0, 0.6)
    counts = meter.now(0.7)
    assert counts.steps == 2
    assert counts.refused_share(Refusal.TOKEN_BUDGET) == 0.5
    assert counts.refused_share(Refusal.GANG) == 0.0


def test_a_step_longer_than_the_span_still_says_why() -> None:
    meter = AdmissionMeter(0.0)
    meter.on_plan(Refusal.KV_BLOCKS, 0, 1.0)
    assert meter.over(1.0, 9.0).steps == 0
    assert meter.now(9.0).refused_share(Refusal.KV_BLOCKS) == 1.0


def test_a_switch_is_a_cause_of_its_own() -> None:
    meter = AdmissionMeter(0.0)
    meter.on_switch([object()] * 5, 1.0)
    meter.on_switch([], 1.0)
    assert meter.over(10.0, 1.0).preempted == {PreemptionCause.SWITCH: 5}


def test_without_steps_there_is_no_share() -> None:
    assert AdmissionMeter(0.0).over(10.0, 5.0).refused_share(Refusal.GANG) == pytest.approx(0.0)
