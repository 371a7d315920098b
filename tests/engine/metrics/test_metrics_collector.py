"""The facade: every request is accounted for, and each question gets its answer."""

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.metrics.collector import Metrics
from prodtop.engine.protocol import Accounting, HitRates, Latency, Window
from prodtop.engine.serving.request import Request, Sampling
from simulated_queue import SimulatedQueue

START_S = 200.0

Ending = Literal["submit", "finish", "fail", "hit"]


def finished(arrival_at_s: float, tokens: int, first_at_s: float, gap_s: float) -> Request:
    times_s = [first_at_s + index * gap_s for index in range(tokens)]
    return Request(
        request_id=1,
        prompt_tokens=[1],
        max_tokens=tokens,
        sampling=Sampling(),
        arrival_at_s=arrival_at_s,
        tokens=[1, *range(tokens)],
        queued_at_s=arrival_at_s,
        scheduled_at_s=arrival_at_s,
        first_token_at_s=times_s[0],
        last_token_at_s=times_s[-1],
        token_times_s=times_s,
    )


def cached(arrival_at_s: float) -> Request:
    return Request(1, [1], 4, Sampling(), arrival_at_s, tokens=[1, 5, 6, 7, 8])


@settings(deadline=None)
@given(st.lists(st.sampled_from(["submit", "submit", "finish", "fail", "hit"]), max_size=80))
def test_every_request_is_somewhere(events: list[Ending]) -> None:
    metrics = Metrics(START_S)
    expected = {"submit": 0, "finish": 0, "fail": 0, "hit": 0}
    for index, event in enumerate(events):
        now_s = START_S + index / 7
        in_system = expected["submit"] - expected["finish"] - expected["fail"] - expected["hit"]
        if event != "submit" and not in_system:
            continue
        expected[event] += 1
        if event == "submit":
            metrics.on_submitted(now_s)
        elif event == "finish":
            metrics.on_finished(finished(now_s - 0.1, 3, now_s - 0.06, 0.02), now_s)
        elif event == "hit":
            metrics.on_finished(cached(now_s - 0.1), now_s, from_response_cache=True)
        else:
            metrics.on_failed(now_s, now_s - 0.1)
        count = metrics.accounting()
        assert count.submitted == expected["submit"]
        assert count.finished == expected["finish"] + expected["hit"]
        assert count.failed == expected["fail"]
        assert count.submitted == count.finished + count.failed + count.in_system


def test_an_end_without_a_beginning_is_refused_and_not_counted() -> None:
    metrics = Metrics(START_S)
    with pytest.raises(ValueError, match="more requests ended"):
        metrics.on_failed(START_S)
    with pytest.raises(ValueError, match="more requests ended"):
        metrics.on_finished(cached(START_S), START_S + 0.1, from_response_cache=True)
    assert metrics.accounting() == Accounting()


def test_before_anything_happens_nothing_is_made_up() -> None:
    metrics = Metrics(START_S)
    now_s = START_S + 1.0
    assert set(metrics.latency.all_windows(now_s).values()) == {Latency()}
    assert set(metrics.hits.rates(now_s).values()) == {HitRates()}
    assert metrics.throughput.rates(now_s).batch_waste is None
    assert metrics.queue(now_s, running=0, waiting=0).arrival_rate_times_residence is None
    assert metrics.switches.effect(now_s) is None
    assert metrics.generated_tokens_total == 0


def test_a_finished_request_reaches_every_figure() -> None:
    metrics = Metrics(START_S)
    metrics.on_submitted(START_S + 0.2, START_S + 0.1)
    metrics.on_step(START_S + 0.5, prefill_tokens=40, decode_tokens=1, cached_tokens=16, rows=1)
    metrics.on_step(START_S + 0.6, decode_tokens=1, rows=2, ghost_rows=1)
    request = finished(START_S + 0.1, tokens=2, first_at_s=START_S + 0.5, gap_s=0.1)
    latency = metrics.on_finished(request, START_S + 0.61)
    now_s = START_S + 1.0
    assert latency.ttft_s == pytest.approx(0.4)
    totals = metrics.throughput.totals(now_s)
    assert (totals.prefill_tokens, totals.decode_tokens, totals.cached_tokens) == (40, 2, 16)
    assert metrics.generated_tokens_total == 2
    assert metrics.throughput.rates(now_s).batch_waste == pytest.approx(1 / 3)
    e2e = metrics.latency.over(Window.SESSION, now_s).e2e
    assert e2e is not None
    assert e2e.mean_ms == pytest.approx(500)
    assert metrics.latency.all_windows(now_s)[Window.S10].e2e == e2e
    queue = metrics.queue(now_s, running=3, waiting=4, preemptions=5)
    assert (queue.running, queue.waiting, queue.preemptions) == (3, 4, 5)
    # From its arrival at 0.1 to its end at 0.61 it was alone in the system, of one second in all.
    assert queue.mean_in_system == pytest.approx(0.51)
    assert queue.arrival_rate_times_residence == pytest.approx(0.51)


def test_a_response_cache_hit_gives_cached_tokens_not_generated_ones() -> None:
    metrics = Metrics(START_S)
    metrics.on_submitted(START_S + 0.1)
    metrics.hits.on_response_lookup(True, START_S + 0.1)
    metrics.on_finished(cached(START_S + 0.1), START_S + 0.11, from_response_cache=True)
    now_s = START_S + 1.0
    assert metrics.throughput.totals(now_s).cached_tokens == 4
    assert metrics.generated_tokens_total == 0
    latency = metrics.latency.over(Window.SESSION, now_s)
    assert latency.ttfb == latency.e2e is not None
    assert (latency.ttft, latency.tpot, latency.itl, latency.queue) == (None, None, None, None)
    assert metrics.hits.session(now_s) == HitRates(response=1.0, prefix=None)


def test_a_lookup_counts_for_the_cache_that_was_asked() -> None:
    metrics = Metrics(START_S)
    metrics.hits.on_response_lookup(False, START_S + 1.0)
    metrics.hits.on_prefix_lookup(48, 64, START_S + 1.0)
    assert metrics.hits.session(START_S + 2.0) == HitRates(response=0.0, prefix=0.75)


def test_a_failed_request_has_no_latency_but_a_residence() -> None:
    metrics = Metrics(START_S)
    metrics.on_submitted(START_S + 0.1)
    metrics.on_failed(START_S + 0.6, START_S + 0.1)
    assert metrics.latency.over(Window.SESSION, START_S + 1.0) == Latency()
    queue = metrics.queue(START_S + 1.0, running=0, waiting=0)
    assert queue.arrival_rate_times_residence == pytest.approx(0.5)


def test_the_roofline_is_work_per_second_over_the_ceiling() -> None:
    metrics = Metrics(START_S)
    for tick in range(50):
        metrics.on_step(START_S + 0.05 + tick / 10, bytes_read=3e9, flops=5e11)
    now_s = START_S + 5.0
    found = metrics.limits.roofline(now_s, copy_bytes_per_s=1e11, matmul_flops_per_s=1e13)
    assert found.mbu == pytest.approx(0.3, rel=0.01)
    assert found.mfu == pytest.approx(0.5, rel=0.01)
    unknown = metrics.limits.roofline(now_s, copy_bytes_per_s=None, matmul_flops_per_s=None)
    assert (unknown.mbu, unknown.mfu) == (None, None)


def test_a_switch_is_judged_from_the_same_events() -> None:
    queue = SimulatedQueue(slots=1, service_ticks=4, users=8)
    queue.run(15)
    queue.switch("strategy", "single", "hybrid")
    queue.slots = 4
    queue.run(15)
    effect = queue.metrics.switches.effect(queue.now_s)
    assert effect is not None
    assert effect.before is not None
    assert effect.after is not None
    assert effect.after.decode_tok_s / effect.before.decode_tok_s == pytest.approx(4.0, rel=0.03)
    assert effect.after.memory_bytes == 1_000_000


def test_a_pause_is_noticed_by_whatever_comes_after_it() -> None:
    queue = SimulatedQueue(slots=4, service_ticks=20, users=64)
    for seconds in (40, 20, 25):
        queue.run(seconds)
        queue.pause(30)
        queue.run(2)
        found = queue.metrics.queue(queue.now_s, running=4, waiting=60)
        assert not found.unsteady
        assert found.mean_in_system == pytest.approx(64, rel=0.02)
        assert found.arrival_rate_times_residence == pytest.approx(64, rel=0.2)
