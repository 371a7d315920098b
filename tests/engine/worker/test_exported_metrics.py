"""What the worker tells a server: what it served, whatever was switched and measured meanwhile."""

from pathlib import Path

import msgspec
import pytest
from bench_engine import LOAD, bench_engine
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.metrics.export_buckets import RAW_BOUNDS
from prodtop.engine.metrics.exported import COUNTERS
from prodtop.engine.protocol import BenchSpec, PrecisionName, StrategyName
from prodtop.engine.protocol.served import SERVER_REPORT_DECODER, EngineMetrics
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.request import Request, Sampling
from prodtop.engine.worker.bench import Bench
from prodtop.engine.worker.exported_metrics import GAUGES, engine_metrics


@pytest.fixture
def engine(tiny_folder: Path) -> Engine:
    return bench_engine(tiny_folder)


def ask(engine: Engine, count: int, tokens: int = 8) -> list[Request]:
    return [
        engine.submit([*range(5, 25 + number)], Sampling(), tokens, ignore_eos=True)
        for number in range(count)
    ]


def drain(engine: Engine) -> None:
    while engine.has_work:
        engine.step()


def measure(engine: Engine) -> None:
    """Cells, as the worker measures them: with metrics of their own."""
    metrics, precision = engine.metrics, engine.precision
    spec = BenchSpec(
        strategies=[StrategyName.CONTINUOUS, StrategyName.HYBRID],
        precisions=[PrecisionName.FP32],
        requests=5,
        warmup=2,
        load=LOAD,
    )
    cells = list(Bench(engine, bundled_prompts(), own_gpu=None, versions={}).cells(spec))
    assert len(cells) == 2
    engine.set_precision(precision)
    engine.metrics = metrics


def total(metrics: EngineMetrics, name: str) -> int:
    return sum(metrics.histograms[name].counts)


def test_everything_that_has_a_name_is_told(engine: Engine) -> None:
    metrics = engine_metrics(engine, 7)
    assert metrics.ask_id == 7
    assert metrics.counters == dict.fromkeys(COUNTERS, 0)
    assert set(metrics.gauges) == set(GAUGES) - {"gpu_energy_joules"}
    assert set(metrics.histograms) == set(RAW_BOUNDS)
    for name, histogram in metrics.histograms.items():
        assert histogram.counts == [0] * (len(RAW_BOUNDS[name]) + 1)
    assert SERVER_REPORT_DECODER.decode(msgspec.msgpack.encode(metrics)) == metrics


def test_measured_cells_are_no_traffic(engine: Engine) -> None:
    first = ask(engine, 6)
    engine.step()
    engine.abort(first[2].request_id)
    drain(engine)
    before = engine_metrics(engine, 1)
    measure(engine)
    measured = engine_metrics(engine, 1)
    # What memory the process holds is not of the traffic.
    assert msgspec.structs.replace(measured, gauges=before.gauges) == before
    engine.set_strategy(StrategyName.BATCHED)
    ask(engine, 3, tokens=5)
    drain(engine)
    after = engine_metrics(engine, 2)
    assert after.by_reason == {"stop": 0, "length": 8, "abort": 1, "error": 0}
    assert after.counters["generation_tokens"] == before.counters["generation_tokens"] + 15
    assert after.strategy is StrategyName.BATCHED


def test_gaps_count_while_their_request_runs(engine: Engine) -> None:
    ask(engine, 2, tokens=40)
    for steps in range(1, 20):
        engine.step()
        metrics = engine_metrics(engine, steps)
        assert metrics.gauges["running"] == 2
        assert total(metrics, "itl") == 2 * (steps - 1)
        assert total(metrics, "ttft") == 2
        assert total(metrics, "e2e") == 0
        assert metrics.counters["generation_tokens"] == 2 * steps


def test_gauges_are_those_of_now(engine: Engine) -> None:
    ask(engine, 7)
    engine.step()
    gauges = engine_metrics(engine, 1).gauges
    assert (gauges["running"], gauges["waiting"], gauges["max_running"]) == (4, 3, 4)
    held = sum(len(request.block_ids) for request in engine.scheduler.running)
    shared = len({block for each in engine.scheduler.running for block in each.block_ids})
    assert shared <= held
    assert gauges["kv_blocks_running"] == shared
    assert gauges["kv_usage"] == shared / gauges["kv_blocks"]
    drain(engine)
    gauges = engine_metrics(engine, 1).gauges
    assert gauges["kv_usage"] == 0.0
    assert gauges["kv_blocks_evictable"] > 0


def test_a_switch_of_precision_counts_its_preemptions_apart(engine: Engine) -> None:
    requests = ask(engine, 4)
    engine.step()
    began_s = engine.clock()
    engine.set_precision(PrecisionName.FP32)
    engine.metrics.on_switch("precision", "bf16", "fp32", engine.clock(), began_s)
    drain(engine)
    metrics = engine_metrics(engine, 1)
    assert metrics.counters["preemptions_switch"] == 4
    assert metrics.counters["preemptions_kv_blocks"] == 0
    assert metrics.counters["switches"] == 1
    assert metrics.precision is PrecisionName.FP32
    assert metrics.counters["prompt_tokens"] == sum(len(each.prompt_tokens) for each in requests)
    assert metrics.counters["prefill_tokens"] > metrics.counters["prompt_tokens_computed"]


def test_an_estimate_of_work_is_that_of_the_screen(engine: Engine) -> None:
    ask(engine, 4)
    drain(engine)
    # Four of these are in the response cache, two have a prefix of theirs.
    ask(engine, 6)
    drain(engine)
    counters, totals = engine_metrics(engine, 1).counters, engine.metrics.throughput.totals
    screen = totals(engine.clock())
    assert counters["response_hits"] == 4
    assert counters["prompt_tokens_cached"] == counters["prefix_hit_tokens"] == 2 * 16
    assert counters["flops"] > 0
    assert counters["read_bytes"] > counters["steps"] * engine.runner.decoder.matmul_bytes
    assert counters["steps"] == screen.steps
    assert counters["rows"] == screen.rows
    assert counters["prefill_tokens"] == screen.prefill_tokens
    assert counters["prefix_hit_tokens"] + 4 * 8 == screen.cached_tokens
    assert counters["response_cache_tokens"] == 4 * 8


def test_what_nobody_can_take_is_refused_and_what_finds_no_room_rejected(engine: Engine) -> None:
    engine.metrics.on_refused(engine.clock(), engine.clock(), "too long")
    engine.metrics.on_rejected(3, engine.clock())
    metrics = engine_metrics(engine, 1)
    assert metrics.counters["requests_submitted"] == metrics.counters["requests_refused"] == 1
    assert metrics.counters["requests_rejected"] == 3
    assert sum(metrics.by_reason.values()) == 0
