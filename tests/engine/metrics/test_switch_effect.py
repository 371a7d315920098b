"""What a switch did, told from a stream of requests, tokens and memory readings."""

import numpy as np
import pytest
from prodtop.engine.metrics.effect import SwitchTracker
from prodtop.engine.metrics.latency import RequestLatency
from prodtop.engine.protocol import SwitchEffect

MIB = 1024**2


def took(ttft_s: float, tpot_s: float | None = 0.01) -> RequestLatency:
    return RequestLatency(
        e2e_s=ttft_s + 0.5,
        ttfb_s=ttft_s + 0.25,
        ttft_s=ttft_s,
        tpot_s=tpot_s,
        queue_s=0.0,
        itl_s=np.empty(0),
    )


class Serving:
    """A clock and a tracker: serves requests of one kind for a while, ten of them a second."""

    def __init__(self) -> None:
        self.tick = 0
        self.tracker = SwitchTracker(0.0)

    @property
    def now_s(self) -> float:
        return self.tick / 10

    def serve(
        self, seconds: float, *, tokens: int, ttft_s: float, memory: int, each_takes_s: float = 0.6
    ) -> None:
        for _ in range(round(seconds * 10)):
            self.tick += 1
            self.tracker.on_decode(tokens, self.now_s)
            self.tracker.on_memory(memory, self.now_s)
            self.tracker.on_ended(took(ttft_s), self.now_s - each_takes_s, self.now_s)

    def effect(self) -> SwitchEffect:
        effect = self.tracker.effect(self.now_s)
        assert effect is not None
        return effect


def test_there_is_no_effect_before_the_first_switch() -> None:
    serving = Serving()
    serving.serve(5, tokens=10, ttft_s=0.2, memory=MIB)
    assert serving.tracker.effect(serving.now_s) is None


def test_before_and_after_are_what_was_served_on_each_side() -> None:
    serving = Serving()
    serving.serve(12, tokens=10, ttft_s=0.2, memory=100 * MIB)
    serving.tracker.on_switch("strategy", "single", "continuous", serving.now_s)
    serving.serve(12, tokens=79, ttft_s=0.1, memory=150 * MIB)
    effect = serving.effect()
    assert (effect.kind, effect.old, effect.new) == ("strategy", "single", "continuous")
    assert effect.at_s == 12.0
    assert effect.before is not None
    assert effect.after is not None
    assert effect.before.decode_tok_s == pytest.approx(100, rel=0.02)
    assert effect.after.decode_tok_s == pytest.approx(790, rel=0.02)
    assert effect.before.memory_bytes == 100 * MIB
    assert effect.after.memory_bytes == 150 * MIB
    assert effect.before.ttft_p95_ms == pytest.approx(200)
    assert effect.after.ttft_p95_ms == pytest.approx(100)
    assert effect.after.ttfb_p95_ms == pytest.approx(350)
    assert effect.after.tpot_p95_ms == pytest.approx(10)


def test_after_waits_three_seconds_and_is_settled_after_ten() -> None:
    serving = Serving()
    serving.serve(12, tokens=10, ttft_s=0.2, memory=MIB)
    serving.tracker.on_switch("strategy", "single", "continuous", serving.now_s)
    serving.serve(2.9, tokens=50, ttft_s=0.1, memory=MIB)
    assert serving.effect().after is None
    serving.serve(0.2, tokens=50, ttft_s=0.1, memory=MIB)
    early = serving.effect().after
    assert early is not None
    serving.serve(4, tokens=90, ttft_s=0.3, memory=MIB)
    refined = serving.effect().after
    assert refined is not None
    assert refined.decode_tok_s > early.decode_tok_s
    serving.serve(4, tokens=90, ttft_s=0.3, memory=MIB)
    settled = serving.effect().after
    serving.serve(20, tokens=1, ttft_s=0.9, memory=MIB)
    assert serving.effect().after == settled


def test_only_the_last_ten_seconds_before_count() -> None:
    serving = Serving()
    serving.serve(30, tokens=500, ttft_s=0.9, memory=MIB)
    serving.serve(11, tokens=10, ttft_s=0.2, memory=MIB)
    serving.tracker.on_switch("strategy", "single", "continuous", serving.now_s)
    before = serving.effect().before
    assert before is not None
    assert before.decode_tok_s == pytest.approx(100, rel=0.02)
    assert before.ttft_p95_ms == pytest.approx(200)


def test_requests_from_before_the_switch_do_not_judge_what_came_after() -> None:
    serving = Serving()
    serving.serve(12, tokens=10, ttft_s=0.2, memory=MIB)
    serving.tracker.on_switch("strategy", "single", "continuous", serving.now_s)
    serving.serve(2, tokens=50, ttft_s=7.0, memory=MIB, each_takes_s=8.0)
    serving.serve(3, tokens=50, ttft_s=0.1, memory=MIB)
    after = serving.effect().after
    assert after is not None
    assert after.ttft_p95_ms == pytest.approx(100)


def test_without_finished_requests_the_rate_alone_is_compared() -> None:
    serving = Serving()
    serving.serve(12, tokens=10, ttft_s=0.2, memory=MIB)
    serving.tracker.on_switch("precision", "bf16", "int8", serving.now_s)
    for _ in range(99):
        serving.tick += 1
        serving.tracker.on_decode(3, serving.now_s)
    assert serving.effect().after is None
    serving.tick += 4
    after = serving.effect().after
    assert after is not None
    assert after.decode_tok_s == pytest.approx(30, rel=0.05)
    assert after.ttft_p95_ms is None


def test_slow_requests_are_waited_for() -> None:
    serving = Serving()
    serving.serve(12, tokens=10, ttft_s=0.2, memory=MIB)
    serving.tracker.on_switch("strategy", "continuous", "single", serving.now_s)
    serving.tick += 150
    serving.serve(1, tokens=10, ttft_s=9.0, memory=MIB, each_takes_s=12.0)
    after = serving.effect().after
    assert after is not None
    assert after.ttft_p95_ms == pytest.approx(9000)


def test_the_time_that_a_switch_took_belongs_to_neither_side() -> None:
    serving = Serving()
    serving.serve(12, tokens=10, ttft_s=0.2, memory=100 * MIB)
    began_s = serving.now_s
    serving.tick += 50
    serving.tracker.on_memory(900 * MIB, serving.now_s)
    serving.tracker.on_switch("precision", "bf16", "int4", serving.now_s, began_s)
    serving.serve(5, tokens=20, ttft_s=0.1, memory=50 * MIB)
    effect = serving.effect()
    assert effect.before is not None
    assert effect.after is not None
    assert effect.before.decode_tok_s == pytest.approx(100, rel=0.02)
    assert effect.before.memory_bytes == 100 * MIB
    assert effect.after.decode_tok_s == pytest.approx(200, rel=0.02)


def test_walking_through_a_choice_compares_its_ends() -> None:
    serving = Serving()
    serving.serve(12, tokens=10, ttft_s=0.2, memory=MIB)
    serving.tracker.on_switch("precision", "bf16", "int8", serving.now_s)
    before = serving.effect().before
    serving.serve(0.5, tokens=70, ttft_s=0.2, memory=MIB)
    serving.tracker.on_switch("precision", "int8", "int4", serving.now_s)
    effect = serving.effect()
    assert (effect.old, effect.new, effect.at_s) == ("bf16", "int4", 12.5)
    assert effect.before == before
    serving.tracker.on_switch("precision", "int4", "bf16", serving.now_s)
    assert serving.tracker.effect(serving.now_s) is None


def test_a_switch_of_another_kind_stands_alone() -> None:
    serving = Serving()
    serving.serve(12, tokens=10, ttft_s=0.2, memory=MIB)
    serving.tracker.on_switch("precision", "bf16", "int8", serving.now_s)
    serving.serve(0.5, tokens=70, ttft_s=0.2, memory=MIB)
    serving.tracker.on_switch("strategy", "single", "hybrid", serving.now_s)
    effect = serving.effect()
    assert (effect.kind, effect.old, effect.new) == ("strategy", "single", "hybrid")
    assert effect.before is None


def test_a_judged_switch_is_what_the_next_one_is_compared_with() -> None:
    serving = Serving()
    serving.serve(12, tokens=10, ttft_s=0.2, memory=MIB)
    serving.tracker.on_switch("strategy", "single", "continuous", serving.now_s)
    serving.serve(5, tokens=80, ttft_s=0.1, memory=MIB)
    assert serving.effect().after is not None
    serving.tracker.on_switch("strategy", "continuous", "hybrid", serving.now_s)
    effect = serving.effect()
    assert effect.old == "continuous"
    assert effect.before is not None
    assert effect.before.decode_tok_s == pytest.approx(800, rel=0.05)


def test_memory_that_was_never_read_is_not_made_up() -> None:
    tracker = SwitchTracker(0.0)
    tracker.on_decode(100, 5.0)
    tracker.on_switch("strategy", "single", "hybrid", 10.0)
    effect = tracker.effect(25.0)
    assert effect is not None
    assert (effect.before, effect.after) == (None, None)


def test_an_effect_that_nobody_asked_for_in_time_stays_unknown() -> None:
    serving = Serving()
    serving.serve(12, tokens=10, ttft_s=0.2, memory=MIB)
    serving.tracker.on_switch("strategy", "single", "hybrid", serving.now_s)
    serving.tick += 6000
    assert serving.effect().after is None
