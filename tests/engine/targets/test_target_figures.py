"""Every target's figure against a computation of its own from the raw traffic, and none made up."""

from random import Random

import numpy as np
import pytest
from comparisons import cell, result
from frame_samples import frame
from hypothesis import given
from hypothesis import strategies as st
from of_our_own import known
from prodtop.engine.protocol import (
    LATENCY_EDGES_MS,
    BenchSpec,
    ChildDied,
    GuardSample,
    LoadSpec,
    RunBench,
    ServerListening,
    ServerSample,
    StopBench,
    TargetFigure,
    TargetName,
    TargetStanding,
)
from prodtop.engine.targets.counted import slower_than
from prodtop.engine.targets.figures import NO_TRAFFIC
from prodtop.engine.targets.settings import TargetSettings
from prodtop.engine.targets.watch import SILENT_S, TargetWatch
from target_reports import STEP_S, Life, busy_frame, gpu_host

STEPS = 240
USD_PER_HOUR = 4.0
LISTENING = ServerListening(url="http://127.0.0.1:8000", port=8000)


def figures(watch: TargetWatch, now_s: float) -> dict[TargetName, TargetFigure]:
    return {each.name: each for each in watch.look(now_s, 0.0)[0].targets}


def watched(
    seed: int, *, server: bool, restarts: bool
) -> tuple[Life, dict[TargetName, TargetFigure]]:
    """Two minutes of traffic, all of it within the window of five."""
    life, watch = Life(Random(seed)), TargetWatch(TargetSettings(), lambda _: USD_PER_HOUR)
    if server:
        watch.take(LISTENING, 100.0)
    now_s = 100.0
    for now_s, report in life.play(STEPS, 100.0, restarts=restarts):
        watch.take(report, now_s)
    return life, figures(watch, now_s)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_every_target_is_what_its_definition_says(seed: int, *, restarts: bool) -> None:
    life, found = watched(seed, server=True, restarts=restarts)
    watched_s = (STEPS - 1) * STEP_S
    efficiency = [
        (memory.weights_bytes + memory.kv_bytes * (blocks.running + known(blocks.evictable)) / 1000)
        / memory.used_bytes
        for memory, blocks in life.memory
    ]
    expected: dict[TargetName, float] = {
        TargetName.E2E: 1e3 * sorted(life.e2e_s)[int(0.95 * (len(life.e2e_s) - 1))],
        TargetName.REQUESTS: life.finished / watched_s,
        # The first sample of a level tells no time that it has held.
        TargetName.GPU: float(np.mean(life.utilization[1:])),
        TargetName.MEMORY: float(np.mean(efficiency[1:])),
        TargetName.AVAILABILITY: life.served / (life.served + life.unavailable),
        TargetName.SAFETY: (life.flagged + life.guard_failures) / life.texts,
        TargetName.COST: USD_PER_HOUR * watched_s / 3600 / life.finished,
        TargetName.QUALITY: (life.review.accepted or 0)
        / ((life.review.accepted or 0) + (life.review.rejected or 0)),
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    for name, value in expected.items():
        limit, above = found[name].limit, name in ABOVE
        met = value > limit if above else value < limit
        assert (found[name].standing is TargetStanding.MET) == met, name


ABOVE = {
    TargetName.REQUESTS,
    TargetName.GPU,
    TargetName.MEMORY,
    TargetName.AVAILABILITY,
    TargetName.QUALITY,
}


@pytest.mark.parametrize("restarts", [False, True])
def test_the_budget_of_e2e_is_spent_by_the_requests_over_its_limit(*, restarts: bool) -> None:
    """100 ms is an edge of the counts, so they are exact."""
    life, found = watched(9, server=True, restarts=restarts)
    slow = np.mean(np.array(life.e2e_s) > 0.1)
    assert found[TargetName.E2E].budget_left == pytest.approx(1 - slow / 0.05)
    bad = life.unavailable / (life.served + life.unavailable)
    assert found[TargetName.AVAILABILITY].budget_left == pytest.approx(1 - bad / 0.001)


def test_without_a_server_availability_is_the_engines() -> None:
    life, found = watched(3, server=False, restarts=False)
    ended = life.finished + life.failed + life.rejected
    assert found[TargetName.AVAILABILITY].value == pytest.approx(life.finished / ended)


def test_requests_that_a_server_takes_with_it_are_not_available() -> None:
    watch = TargetWatch(TargetSettings())
    watch.take(LISTENING, 0.0)
    watch.take(ServerSample(at_s=0.0, served=6, open_requests=2), 1.0)
    watch.take(ChildDied(child="server", reason="killed"), 2.0)
    watch.take(ServerSample(at_s=0.0, served=2), 3.0)
    assert figures(watch, 4.0)[TargetName.AVAILABILITY].value == pytest.approx(8 / 10)


@given(
    st.lists(st.floats(0.0002, 900.0), min_size=1, max_size=80), st.sampled_from(LATENCY_EDGES_MS)
)
def test_slow_requests_are_counted_exactly_at_the_edges(e2e_s: list[float], limit: float) -> None:
    counts = np.histogram(np.array(e2e_s) * 1e3, [0.0, *LATENCY_EDGES_MS, np.inf])[0].tolist()
    assert slower_than(counts, limit) == sum(each * 1e3 >= limit for each in e2e_s)


@given(st.lists(st.integers(0, 9), min_size=44, max_size=44), st.data())
def test_slow_requests_never_grow_with_the_limit(counts: list[int], data: st.DataObject) -> None:
    counts = counts[: len(LATENCY_EDGES_MS) + 1]
    limits = sorted(data.draw(st.lists(st.floats(0.01, 1e7), min_size=2, max_size=6)))
    slow = [slower_than(counts, limit) for limit in limits]
    assert slow == sorted(slow, reverse=True)
    assert all(0 <= each <= sum(counts) for each in slow)


def test_consistency_is_the_larger_variation_of_the_repeats_that_are_served() -> None:
    base = frame()
    watch = TargetWatch(TargetSettings())
    watch.take(base, 0.0)
    spec = BenchSpec(strategies=[], precisions=[], requests=4, load=known(base.load))
    rates, p95s = [100.0, 104.0, 108.0, 96.0], [50.0, 51.0, 70.0, 52.0]
    for rate, p95 in zip(rates, p95s, strict=True):
        watch.on_command(RunBench(spec=spec, hold=True))
        served = cell(known(base.strategy), known(base.precision))
        watch.take(result(served, tok_s=rate, p95_ms=p95), 1.0)
        watch.take(result(cell("single", "int8"), tok_s=1.0), 1.0)
    watch.on_command(StopBench())
    found = figures(watch, 2.0)[TargetName.CONSISTENCY]
    expected = [np.std(values, ddof=1) / np.mean(values) for values in (rates, p95s)]
    assert found.value == pytest.approx(max(expected))
    assert found.samples == 4
    assert found.standing is TargetStanding.MISSED


def test_two_repeats_tell_no_spread_and_another_load_none_of_this() -> None:
    base = frame()
    watch = TargetWatch(TargetSettings())
    watch.take(base, 0.0)
    for users, times in ((known(base.load).users, 2), (known(base.load).users + 1, 5)):
        load = LoadSpec(users=users)
        for _ in range(times):
            spec = BenchSpec(strategies=[], precisions=[], requests=4, load=load)
            watch.on_command(RunBench(spec=spec, hold=True))
            watch.take(result(cell(known(base.strategy), known(base.precision))), 1.0)
    watch.on_command(StopBench())
    found = figures(watch, 2.0)[TargetName.CONSISTENCY]
    assert (found.value, found.standing) == (None, TargetStanding.UNKNOWN)
    assert "Compare" in found.note


def test_without_traffic_nothing_is_met() -> None:
    """An engine that nobody asks for anything, on a GPU, with a server, guards and a price."""
    watch = TargetWatch(TargetSettings(), lambda _: USD_PER_HOUR)
    watch.take(LISTENING, 0.0)
    for second in range(60):
        watch.take(busy_frame(), float(second))
        watch.take(gpu_host(0.0), float(second))
    idle = GuardSample(
        texts=0, flagged=0, redacted=0, blocked=0, failures=0, added_p50_ms=None, added_p99_ms=None
    )
    watch.take(ServerSample(at_s=0.0, answered={"2xx": 9}, guards={"all": idle}), 1.0)
    found = figures(watch, 60.0)
    assert all(each.value is None for each in found.values())
    assert all(each.standing is TargetStanding.UNKNOWN for each in found.values())
    assert all(each.budget_left is None for each in found.values())
    for name in (
        TargetName.E2E,
        TargetName.REQUESTS,
        TargetName.GPU,
        TargetName.MEMORY,
        TargetName.AVAILABILITY,
        TargetName.SAFETY,
        TargetName.COST,
    ):
        assert found[name].note == NO_TRAFFIC, name


def test_what_is_not_measured_says_what_measures_it() -> None:
    watch = TargetWatch(TargetSettings())
    for second in range(20):
        watch.take(busy_frame(10 * second, p95_ms=50.0), float(second))
    found = figures(watch, 20.0)
    for name, words in (
        (TargetName.GPU, "NVML"),
        (TargetName.SAFETY, "guards"),
        (TargetName.COST, "price"),
        (TargetName.QUALITY, "review"),
        (TargetName.CONSISTENCY, "Compare"),
    ):
        assert found[name].value is None
        assert words in found[name].note


def test_figures_of_a_silent_engine_are_not_current() -> None:
    watch = TargetWatch(TargetSettings())
    for second in range(20):
        watch.take(busy_frame(10 * second, p95_ms=50.0), float(second))
    assert figures(watch, 20.0)[TargetName.E2E].value == 50.0
    found = figures(watch, 20.0 + SILENT_S)[TargetName.E2E]
    assert (found.value, found.note) == (None, "the engine is silent")


def test_what_a_bench_does_is_not_servings() -> None:
    """Its requests are in the counts; they neither count nor spend a budget."""
    watch = TargetWatch(TargetSettings())
    watch.take(busy_frame(10, failed=0), 0.0)
    spec = BenchSpec(strategies=[], precisions=[], requests=4, load=known(frame().load))
    watch.on_command(RunBench(spec=spec, hold=True))
    watch.take(busy_frame(100, failed=900), 1.0)
    assert figures(watch, 1.0)[TargetName.REQUESTS].note == "cells are measured"
    watch.on_command(StopBench())
    watch.take(busy_frame(110, failed=900), 2.0)
    assert figures(watch, 2.0)[TargetName.AVAILABILITY].value == 1.0
    assert figures(watch, 2.0)[TargetName.AVAILABILITY].samples == 20
