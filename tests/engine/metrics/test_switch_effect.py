"""What a switch did, on simulated queues whose answer is known."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.metrics.steady import ENOUGH_S, LEAST_S
from prodtop.engine.metrics.wording import describe_effect, effect_words
from prodtop.engine.protocol import Summary
from simulated_queue import TICK_S, SimulatedQueue


def queue_of(slots: int = 1, *, users: int = 8, service_ticks: int = 4) -> SimulatedQueue:
    return SimulatedQueue(slots=slots, service_ticks=service_ticks, users=users)


def exact_ms(summary: Summary | None) -> float:
    assert summary is not None
    assert summary.ttft_p95 is not None
    assert not summary.ttft_p95.at_least
    return summary.ttft_p95.value_ms


@settings(deadline=None, max_examples=10)
@given(
    slots=st.integers(1, 4),
    service_ticks=st.integers(2, 6),
    busy_before=st.floats(0.2, 0.8),
    busy_after=st.floats(1.3, 4.0),
    faster=st.integers(1, 3),
    seed=st.none() | st.integers(0, 2**32),
)
def test_an_overloaded_queue_is_never_called_better(
    slots: int,
    service_ticks: int,
    busy_before: float,
    busy_after: float,
    faster: int,
    seed: int | None,
) -> None:
    capacity_per_s = slots / (service_ticks * TICK_S)
    queue = SimulatedQueue(
        slots=slots,
        service_ticks=service_ticks,
        rate_per_s=busy_before * capacity_per_s,
        seed=seed,
    )
    queue.run(15)
    queue.switch("load", "little", "much")
    # More work is done, and yet not enough.
    queue.slots = slots * faster
    queue.rate_per_s = max(8.0, busy_after * faster * capacity_per_s)
    queue.service_ticks = max(2, round(busy_after * queue.slots / (queue.rate_per_s * TICK_S)))
    for _ in range(25):
        queue.run(1)
        assert effect_words(queue.effect()).better is not True
    after = queue.effect().after
    assert after is not None
    assert after.growing
    assert after.ttft_p95 is not None
    assert after.ttft_p95.at_least


@settings(deadline=None, max_examples=6)
@given(users=st.integers(6, 24), service_ticks=st.integers(2, 8), slots=st.integers(3, 6))
def test_a_real_improvement_is_called_better(users: int, service_ticks: int, slots: int) -> None:
    queue = queue_of(1, users=users, service_ticks=service_ticks)
    queue.run(60)
    queue.switch("strategy", "single", "continuous")
    queue.slots = slots
    for _ in range(45):
        queue.run(1)
        assert effect_words(queue.effect()).better is not False
    effect = queue.effect()
    assert effect_words(effect).better is True
    assert effect.before is not None
    assert effect.after is not None
    ratio = effect.after.decode_tok_s / effect.before.decode_tok_s
    assert ratio == pytest.approx(slots, rel=0.1)


def test_many_users_at_once_are_not_judged_by_those_served_first() -> None:
    queue = queue_of(64, users=1)
    queue.run(25)
    queue.switch("load", "1 user", "1024 users")
    queue.users = 1024
    queue.run(2.5)
    assert describe_effect(queue.effect()).startswith("1 user → 1024 users: measuring… 2 s")
    queue.run(4)
    assert queue.metrics.switches.effect(queue.now_s) is not None
    so_far = queue.effect().so_far
    assert so_far is None or so_far.growth_per_s == 0.0, "they came once"
    queue.slots = 8
    queue.run(12)
    effect = queue.effect()
    assert effect.after is not None
    assert effect.after.ttft_p95 is not None
    assert effect.after.ttft_p95.at_least
    found = {part.text.split()[0]: part for part in effect_words(effect).parts}
    assert found["TTFT"].better is False
    assert "TTFT p95 50 ms → ≥ " in describe_effect(effect) or "0 ms → ≥ " in describe_effect(
        effect
    )


def test_once_the_waiting_are_served_their_latency_is_exact() -> None:
    queue = queue_of(2, users=2)
    queue.run(20)
    queue.switch("load", "2 users", "200 users")
    queue.users = 200
    queue.run(ENOUGH_S + 5)
    # 200 users over two slots of 0.2 s each wait for 20 s.
    after = queue.effect().after
    assert after is not None
    assert after.ttft_p95 is not None
    assert after.ttft_p95.at_least
    queue.run(30)
    assert exact_ms(queue.effect().after) == pytest.approx(20_000, rel=0.05)


def test_before_and_after_are_what_was_served_on_each_side() -> None:
    queue = queue_of(1)
    queue.run(20)
    assert queue.metrics.switches.effect(queue.now_s) is None
    queue.switch("strategy", "single", "continuous")
    queue.slots = 4
    queue.run(20)
    effect = queue.effect()
    assert (effect.kind, effect.old, effect.new) == ("strategy", "single", "continuous")
    assert effect.before is not None
    assert effect.after is not None
    assert effect.before.decode_tok_s == pytest.approx(20, rel=0.03)
    assert effect.after.decode_tok_s == pytest.approx(80, rel=0.03)
    # Seven wait before the eighth, one at a time; then two rounds of four.
    assert exact_ms(effect.before) == pytest.approx(1400, abs=100)
    assert exact_ms(effect.after) == pytest.approx(200, abs=100)
    assert effect.after.tpot_p95_ms == pytest.approx(TICK_S * 1e3)
    assert effect.after.span_s == pytest.approx(ENOUGH_S)
    assert effect.so_far is None


def test_after_waits_for_a_steady_span_and_then_stands() -> None:
    queue = queue_of(4)
    queue.run(20)
    queue.switch("strategy", "continuous", "single")
    queue.slots = 1
    queue.run(LEAST_S)
    effect = queue.effect()
    assert effect.after is None
    assert effect.so_far is not None
    assert effect.so_far.span_s == pytest.approx(LEAST_S)
    queue.run(20)
    settled = queue.effect().after
    assert settled is not None
    queue.slots = 8
    queue.run(20)
    assert queue.effect().after == settled


def test_requests_from_before_the_switch_do_not_judge_what_came_after() -> None:
    queue = queue_of(1, users=40)
    queue.run(60)
    queue.switch("strategy", "single", "continuous")
    queue.slots = 40
    queue.run(15)
    assert exact_ms(queue.effect().before) == pytest.approx(7_800, rel=0.05)
    assert exact_ms(queue.effect().after) == 0.0


def test_the_time_that_a_switch_took_belongs_to_neither_side() -> None:
    queue = queue_of(2)
    queue.run(20)
    queue.switch("precision", "bf16", "int8", took_s=8.0)
    queue.run(20)
    effect = queue.effect()
    assert effect.before is not None
    assert effect.after is not None
    assert effect.before.decode_tok_s == pytest.approx(40, rel=0.03)
    assert effect.after.decode_tok_s == pytest.approx(40, rel=0.03)
    assert effect_words(effect).better is None


def test_a_switch_within_the_transient_of_another_is_one_with_it() -> None:
    queue = queue_of(2)
    queue.run(20)
    queue.switch("precision", "bf16", "int8", took_s=6.0)
    queue.run(0.5)
    queue.switch("speculation", "no drafts", "4 drafts")
    queue.run(20)
    effect = queue.effect()
    assert effect.kind == "precision + speculation"
    assert (effect.old, effect.new) == ("bf16, no drafts", "int8, 4 drafts")
    assert effect.before is not None
    assert effect.after is not None
    # Served as before: what the pause did to the figures is nobody's effect.
    assert effect.after.decode_tok_s == pytest.approx(effect.before.decode_tok_s, rel=0.05)
    assert effect_words(effect).better is None


def test_walking_through_a_choice_compares_its_ends() -> None:
    queue = queue_of(2)
    queue.run(20)
    queue.switch("precision", "bf16", "int8")
    before = queue.effect().before
    assert before is not None
    queue.run(0.5)
    queue.switch("precision", "int8", "int4")
    effect = queue.effect()
    assert (effect.kind, effect.old, effect.new) == ("precision", "bf16", "int4")
    assert effect.before == before
    queue.switch("precision", "int4", "bf16")
    assert queue.metrics.switches.effect(queue.now_s) is None
    queue.switch("strategy", "single", "hybrid")
    assert queue.effect().before == before, "back where it was, that is still known"


def test_a_settled_switch_is_what_the_next_one_is_compared_with() -> None:
    queue = queue_of(1)
    queue.run(20)
    queue.switch("strategy", "single", "continuous")
    queue.slots = 8
    queue.run(12)
    after = queue.effect().after
    queue.switch("strategy", "continuous", "hybrid")
    effect = queue.effect()
    assert effect.old == "continuous"
    assert effect.before is not None
    assert after is not None
    assert effect.before.decode_tok_s == pytest.approx(after.decode_tok_s, rel=0.02)


def test_a_pause_after_a_switch_does_not_slow_what_came_after() -> None:
    queue = queue_of(2)
    queue.run(20)
    queue.switch("speculation", "no drafts", "4 drafts")
    queue.run(1)
    queue.pause(7)
    queue.run(15)
    effect = queue.effect()
    assert effect.before is not None
    assert effect.after is not None
    assert effect.after.decode_tok_s == pytest.approx(effect.before.decode_tok_s, rel=0.03)
    assert exact_ms(effect.after) == pytest.approx(exact_ms(effect.before), rel=0.05)


def test_without_a_steady_span_before_it_there_is_nothing_to_compare_with() -> None:
    queue = queue_of(1)
    queue.run(1)
    queue.switch("strategy", "single", "continuous")
    queue.slots = 4
    queue.run(20)
    effect = queue.effect()
    assert effect.before is None
    assert effect.after is not None
    assert describe_effect(effect).endswith("over 10 s, nothing steady before it")


def test_failures_are_told_whoever_they_met() -> None:
    queue = queue_of(2)
    queue.run(20)
    queue.switch("strategy", "continuous", "cached")
    queue.run(6.1)
    for request in [*queue.running]:
        queue.running.remove(request)
        queue.metrics.on_failed(queue.now_s, request.arrival_at_s, request)
    queue.run(6)
    after = queue.effect().after
    assert after is not None
    assert after.failed == 2
    assert "2 failed, were 0" in describe_effect(queue.effect())


def test_without_load_there_is_nothing_to_measure() -> None:
    queue = queue_of(2)
    queue.run(20)
    queue.switch("load", "8 users", "no load")
    queue.users = 0
    queue.run(30)
    effect = queue.effect()
    assert effect.after is None
    assert describe_effect(effect) == "8 users → no load: measuring… 30 s, no request came"


def test_the_figures_of_the_settings_in_use_are_there_without_a_switch() -> None:
    queue = queue_of(2)
    queue.run(1)
    assert queue.metrics.switches.steady(queue.now_s) is None
    queue.run(20)
    steady = queue.metrics.switches.steady(queue.now_s)
    assert steady is not None
    assert steady.decode_tok_s == pytest.approx(40, rel=0.03)
    assert steady.requests == pytest.approx(100, abs=3)
    assert steady.failed == 0
    assert not steady.growing
