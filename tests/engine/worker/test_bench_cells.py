"""Measured cells: over an engine in this process, and by the installed command."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from bench_engine import LOAD, TickingClock, bench_engine
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.ops.step_ops import StepOps
from prodtop.engine.protocol import (
    BenchSpec,
    CellResult,
    CellSkipped,
    LoadSpec,
    PrecisionName,
    StrategyName,
)
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.request import Request, Status
from prodtop.engine.worker.bench import Bench, BenchStoppedError
from torch import Tensor

CPU_PRECISIONS = [name for name in PrecisionName if name is not PrecisionName.FP8]
LATENCIES = ("ttft_ms", "ttfb_ms", "tpot_ms", "itl_ms", "e2e_ms", "queue_ms")


@pytest.fixture
def engine(tiny_folder: Path) -> Engine:
    return bench_engine(tiny_folder)


def measure(
    engine: Engine,
    strategies: Sequence[StrategyName] = tuple(StrategyName),
    precisions: Sequence[PrecisionName] = (PrecisionName.FP32,),
    *,
    requests: int = 12,
    warmup: int = 0,
    load: LoadSpec = LOAD,
) -> dict[StrategyName, CellResult]:
    """The results by strategy; of the last precision where there are several."""
    spec = BenchSpec(
        strategies=list(strategies),
        precisions=list(precisions),
        requests=requests,
        warmup=warmup,
        load=load,
    )
    bench = Bench(engine, bundled_prompts(), own_gpu=None, versions={"prodtop": "x"})
    return {cell.strategy: cell for cell in bench.cells(spec) if isinstance(cell, CellResult)}


def test_greedy_fp32_says_the_same_under_every_strategy(engine: Engine) -> None:
    cells = measure(engine)
    assert list(cells) == list(StrategyName)
    assert len({cell.output_sha256 for cell in cells.values()}) == 1
    assert len({cell.output_tok_s * cell.duration_s for cell in cells.values()}) <= 2
    for cell in cells.values():
        assert (cell.requests, cell.failed) == (12, 0)
        for name in LATENCIES:
            found = getattr(cell, name)
            assert 0 <= found.p50 <= found.p95 <= found.p99
            assert math.isfinite(found.mean)


def test_only_batching_wastes_rows_and_only_caches_hit(engine: Engine) -> None:
    cells = measure(engine)
    wasteful = [name for name, cell in cells.items() if cell.batch_waste]
    assert wasteful == [StrategyName.BATCHED]
    caching = [StrategyName.CACHED, StrategyName.HYBRID]
    assert [name for name, cell in cells.items() if cell.prefix_hit_rate] == caching
    assert [name for name, cell in cells.items() if cell.response_hit_rate] == caching
    for name, cell in cells.items():
        missing = cell.prefix_hit_rate is None and cell.response_hit_rate is None
        assert missing == (name not in caching)


def test_only_streaming_brings_the_first_byte_before_the_last(engine: Engine) -> None:
    for name, cell in measure(engine).items():
        assert cell.ttfb_ms is not None
        assert cell.e2e_ms is not None
        streams = name in (StrategyName.STREAMING, StrategyName.HYBRID)
        assert (cell.ttfb_ms.mean < cell.e2e_ms.mean) == streams
        assert (cell.ttfb_ms == cell.e2e_ms) == (not streams)


def test_the_seed_decides_what_is_asked_and_so_what_is_said(engine: Engine) -> None:
    continuous = [StrategyName.CONTINUOUS]

    def digest(seed: int) -> str:
        load = msgspec.structs.replace(LOAD, seed=seed)
        (cell,) = measure(engine, continuous, load=load).values()
        return cell.output_sha256

    assert digest(1) == digest(1) != digest(2)


def test_seeded_sampling_repeats_and_unseeded_does_not(engine: Engine) -> None:
    def digests(fixed_seed_share: float) -> set[str]:
        load = msgspec.structs.replace(LOAD, temperature=1.0, fixed_seed_share=fixed_seed_share)
        strategies = [StrategyName.CONTINUOUS, StrategyName.SINGLE]
        return {cell.output_sha256 for cell in measure(engine, strategies, load=load).values()}

    assert len(digests(1.0)) == 1
    assert len(digests(0.0)) == 2


def test_every_cell_begins_with_cold_caches(engine: Engine) -> None:
    """Also after a warm-up with the very same requests, and after another cell."""
    cold = measure(engine, [StrategyName.CACHED])[StrategyName.CACHED]
    warm = measure(engine, [StrategyName.HYBRID, StrategyName.CACHED], warmup=12)
    for cell in (cold, *warm.values()):
        assert cell.response_hit_rate == cold.response_hit_rate
        assert cell.output_sha256 == cold.output_sha256


def test_an_open_loop_is_measured_to_its_last_request(engine: Engine) -> None:
    load = msgspec.structs.replace(LOAD, rate_per_s=200.0)
    for cell in measure(engine, requests=20, load=load).values():
        assert cell.failed == 0
        assert cell.req_s == pytest.approx(20 / cell.duration_s)


def test_requests_that_fail_are_counted_as_failed_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Decoder.logits

    def broken(self: Decoder, hidden: Tensor, ops: StepOps) -> Tensor:
        return whole(self, hidden, ops).fill_(torch.nan)

    monkeypatch.setattr(Decoder, "logits", broken)
    cell = measure(engine, [StrategyName.CONTINUOUS])[StrategyName.CONTINUOUS]
    assert (cell.failed, cell.req_s, cell.output_tok_s) == (cell.requests, 0.0, 0.0)


@pytest.fixture
def submitted(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Every request that the engine gets."""
    requests: list[Request] = []
    submit = engine.submit

    def record(*args: Any, **named: Any) -> Request:  # noqa: ANN401 - passed on as it is
        requests.append(submit(*args, **named))
        return requests[-1]

    monkeypatch.setattr(engine, "submit", record)
    return requests


@pytest.mark.parametrize("strategy", StrategyName)
def test_tokens_and_latencies_of_failed_requests_count_in_no_rate(
    engine: Engine, submitted: list[Request], strategy: StrategyName
) -> None:
    def abort_one() -> bool:
        begun = [request for request in engine.scheduler.running if request.num_output_tokens]
        if begun and engine.metrics.accounting().failed < 3:
            engine.abort(begun[0].request_id)
        return True

    spec = BenchSpec(
        strategies=[strategy], precisions=[PrecisionName.FP32], requests=16, load=LOAD
    )  # fmt: skip
    bench = Bench(engine, bundled_prompts(), own_gpu=None, versions={}, keep_going=abort_one)
    (cell,) = bench.cells(spec)
    assert isinstance(cell, CellResult)
    measured = submitted[-16:]
    failed = [each for each in measured if each.status is Status.ABORTED]
    finished = [each for each in measured if each.status is Status.FINISHED]
    assert cell.failed == len(failed) > 0
    assert any(each.num_output_tokens for each in failed)
    output = sum(each.num_output_tokens for each in finished)
    prompts = sum(len(each.prompt_tokens) for each in finished)
    assert cell.req_s * cell.duration_s == pytest.approx(len(finished))
    assert cell.output_tok_s * cell.duration_s == pytest.approx(output)
    assert cell.total_tok_s * cell.duration_s == pytest.approx(output + prompts)
    assert cell.e2e_ms is not None
    latencies = [
        each.last_token_at_s - each.arrival_at_s for each in finished if each.last_token_at_s
    ]
    if not cell.response_hit_rate:
        assert cell.e2e_ms.mean == pytest.approx(1e3 * sum(latencies) / len(latencies))


def test_a_duration_runs_from_the_first_arrival_to_the_last_end(
    engine: Engine, submitted: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from when the load begins: its first request may come long after that."""
    clock = engine.clock
    assert isinstance(clock, TickingClock)

    def sleep(seconds: float) -> None:
        clock.now_s += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    load = msgspec.structs.replace(LOAD, rate_per_s=0.5)
    began_s = clock.now_s
    (cell,) = measure(engine, [StrategyName.CONTINUOUS], requests=3, load=load).values()
    first_s = min(request.arrival_at_s for request in submitted)
    last_s = max(request.last_token_at_s or 0.0 for request in submitted)
    assert first_s - began_s > 0.1
    assert cell.duration_s == pytest.approx(last_s - first_s, abs=0.02)


def test_a_precision_that_is_not_there_is_skipped_for_every_strategy(engine: Engine) -> None:
    spec = BenchSpec(
        strategies=[StrategyName.SINGLE, StrategyName.CACHED],
        precisions=[PrecisionName.FP8, PrecisionName.INT8],
        requests=2,
        load=LOAD,
    )
    bench = Bench(engine, bundled_prompts(), own_gpu=None, versions={})
    cells = list(bench.cells(spec))
    skipped = [cell for cell in cells if isinstance(cell, CellSkipped)]
    assert [cell.strategy for cell in skipped] == spec.strategies
    assert all("fp8 needs a GPU" in cell.reason for cell in skipped)
    measured = [cell for cell in cells if isinstance(cell, CellResult)]
    assert [(cell.strategy, cell.precision) for cell in measured] == [
        (name, PrecisionName.INT8) for name in spec.strategies
    ]


def test_a_bench_stops_where_nobody_waits(engine: Engine) -> None:
    spec = BenchSpec(
        strategies=[StrategyName.SINGLE], precisions=[PrecisionName.BF16], requests=10**9, load=LOAD
    )
    looks = iter([True, True, True, False])
    bench = Bench(
        engine, bundled_prompts(), own_gpu=None, versions={}, keep_going=lambda: next(looks)
    )
    with pytest.raises(BenchStoppedError):
        list(bench.cells(spec))
    assert engine.metrics.accounting().submitted > 0
    assert engine.metrics.accounting().in_system == 0
    assert not engine.has_work
    assert engine.blocks.counts().running == 0
    assert not engine.deliveries


# The installed command


def prodtop_bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).with_name("prodtop")
    common = ["--model", str(folder), "--device", "cpu", "--threads", "1", "--json"]
    return subprocess.run(
        [command, "bench", *common, *arguments], capture_output=True, text=True, timeout=240
    )


def test_the_command_measures_every_cell_that_a_cpu_has(tiny_folder: Path) -> None:
    done = prodtop_bench(
        tiny_folder,
        *("--strategy", "all", "--precision", "all", "--requests", "5", "--concurrency", "4"),
        *("--prompt-tokens", "8:40", "--output-tokens", "3:12", "--warmup", "0", "--ignore-eos"),
    )
    assert done.returncode == 0, done.stderr
    cells = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert [(cell["precision"], cell["strategy"]) for cell in cells] == [
        (precision, strategy) for precision in CPU_PRECISIONS for strategy in StrategyName
    ]
    fields = {field.name for field in msgspec.structs.fields(CellResult)} - {"samples", "trace"}
    for cell in cells:
        assert set(cell) == fields
        assert cell["failed"] == 0
        assert cell["model"] == tiny_folder.name
        assert cell["output_tok_s"] > 0
        assert (cell["batch_waste"] > 0) == (cell["strategy"] == "batched")
        assert cell["memory"]["weights_bytes"] > 0
        assert set(cell["versions"]) >= {"prodtop", "torch"}
        assert cell["energy_j"] is None
    exact = {cell["output_sha256"] for cell in cells if cell["precision"] == "fp32"}
    assert len(exact) == 1

    notes = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert [(note["precision"], note["strategy"]) for note in notes] == [
        ("fp8", strategy) for strategy in StrategyName
    ]
    assert all("fp8 needs a GPU" in note["skipped"] for note in notes)


def test_the_command_refuses_prompts_that_no_context_holds(tiny_folder: Path) -> None:
    done = prodtop_bench(tiny_folder, "--prompt-tokens", "300")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(
        "prodtop: prompts of 300 tokens leave no room in a context of 256"
    )
