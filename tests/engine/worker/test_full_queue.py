"""An open loop faster than the engine: its queue ends somewhere, and commands are obeyed."""

import tracemalloc
from pathlib import Path

import msgspec
import pytest
import torch
from of_our_own import known
from prodtop.engine.load.prompts import bundled_prompts
from prodtop.engine.load.queue_limit import QueueSize
from prodtop.engine.model.loading import load_model
from prodtop.engine.protocol import (
    BenchSpec,
    CellResult,
    Frame,
    LoadSpec,
    PrecisionName,
    SetLoad,
    SetStrategy,
    Shutdown,
    StrategyName,
    Switched,
    Window,
)
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.worker.bench import Bench
from prodtop.engine.worker.traffic import MOST_SUBMITTED, Traffic
from worker_harness import bare_worker, tiny_options

FLOOD = LoadSpec(
    rate_per_s=20_000.0,
    output_tokens_min=4,
    output_tokens_max=8,
    prompt_tokens_min=8,
    prompt_tokens_max=40,
    ignore_eos=True,
    max_waiting=700,
)


MOST_FRAMES_BEFORE = 5
"""Half a second of them: those on their way when the command came, and a turn of the loop."""


class Clock:
    """Moves only when told to."""

    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(tiny_folder: Path, clock: Clock) -> Engine:
    return Engine(
        load_model(str(tiny_folder)),
        EngineSettings(max_seqs=8, token_budget=64, kv_blocks=64, context_tokens=128),
        strategy=StrategyName.CONTINUOUS,
        precision=PrecisionName.FP32,
        device=torch.device("cpu"),
        clock=clock,
    )


def size_of(engine: Engine) -> QueueSize:
    return QueueSize(engine.scheduler.num_waiting, engine.scheduler.num_waiting_tokens)


@pytest.mark.parametrize("changes", [{}, {"max_waiting_mib": 0.25}], ids=["requests", "bytes"])
def test_a_queue_holds_no_more_than_its_limit_and_every_arrival_is_accounted(
    engine: Engine, clock: Clock, changes: dict[str, float]
) -> None:
    load = msgspec.structs.replace(FLOOD, **changes)
    traffic = Traffic(engine, bundled_prompts(), load)
    arrived = 0
    for _ in range(30):
        clock.now_s += 0.05
        before = engine.metrics.accounting().submitted
        traffic.submit_arrivals()
        size = size_of(engine)
        assert size.requests <= load.max_waiting
        assert size.bytes <= load.max_waiting_mib * 2**20
        counted = engine.metrics.accounting()
        assert counted.submitted - before <= MOST_SUBMITTED
        arrived = counted.submitted + counted.rejected
        assert counted.submitted == counted.finished + counted.failed + counted.in_system
        traffic.on_completions(engine.step())
    assert arrived == pytest.approx(20_000 * 1.5, rel=0.05)
    assert engine.metrics.accounting().rejected > 20_000
    assert engine.metrics.throughput.rates(clock.now_s).arrivals_per_s == pytest.approx(
        20_000, rel=0.1
    )
    (note,) = engine.notes
    assert note.startswith("the queue is full: what comes now is rejected")


def test_a_lower_rate_drains_the_queue_and_rejects_nothing_more(
    engine: Engine, clock: Clock
) -> None:
    traffic = Traffic(engine, bundled_prompts(), msgspec.structs.replace(FLOOD, max_waiting=40))
    clock.now_s += 0.1
    traffic.submit_arrivals()
    assert engine.scheduler.num_waiting == 40
    traffic.set_spec(msgspec.structs.replace(FLOOD, max_waiting=40, rate_per_s=0.001))
    rejected = engine.metrics.accounting().rejected
    assert rejected > 1000
    for _ in range(1000):
        clock.now_s += 0.001
        traffic.submit_arrivals()
        traffic.on_completions(engine.step())
    assert not engine.has_work
    assert engine.metrics.accounting().rejected == rejected
    latency = engine.metrics.latency.over(Window.SESSION, clock.now_s)
    assert latency.e2e is not None
    assert latency.e2e.count == engine.metrics.accounting().finished == 40


def test_what_arrived_under_the_old_load_is_counted_under_it(engine: Engine, clock: Clock) -> None:
    traffic = Traffic(engine, bundled_prompts(), FLOOD)
    clock.now_s += 1.0
    traffic.set_spec(LoadSpec(users=0))
    traffic.submit_arrivals()
    counted = engine.metrics.accounting()
    assert counted.submitted == MOST_SUBMITTED
    assert counted.rejected == pytest.approx(20_000 - FLOOD.max_waiting, rel=0.05)


def test_a_flood_takes_no_memory_beyond_its_queue(engine: Engine, clock: Clock) -> None:
    traffic = Traffic(engine, bundled_prompts(), FLOOD)

    def flood(seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            clock.now_s += 0.1
            traffic.submit_arrivals()

    flood(1.0)
    tracemalloc.start()
    try:
        flood(1.0)
        before, _ = tracemalloc.get_traced_memory()
        flood(30.0)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert engine.metrics.accounting().rejected > 550_000
    assert after - before < 2**18


def test_a_bench_of_an_open_loop_counts_what_it_rejects(tiny_folder: Path) -> None:
    ticks = Clock()

    def clock() -> float:
        ticks.now_s += 0.001
        return ticks.now_s

    engine = Engine(
        load_model(str(tiny_folder)),
        EngineSettings(max_seqs=8, token_budget=64, kv_blocks=64, context_tokens=128),
        strategy=StrategyName.CONTINUOUS,
        precision=PrecisionName.FP32,
        device=torch.device("cpu"),
        clock=clock,
    )
    spec = BenchSpec(
        strategies=[StrategyName.CONTINUOUS],
        precisions=[PrecisionName.FP32],
        requests=200,
        load=msgspec.structs.replace(FLOOD, max_waiting=20),
    )
    bench = Bench(engine, bundled_prompts(), own_gpu=None, versions={})
    (cell,) = bench.cells(spec)
    assert isinstance(cell, CellResult)
    counted = engine.metrics.accounting()
    assert cell.requests == counted.submitted + cell.rejected == 200
    assert cell.rejected == counted.rejected > 100
    latency = engine.metrics.latency.over(Window.SESSION, clock())
    assert latency.e2e is not None
    assert latency.e2e.count == counted.finished == counted.submitted


def test_commands_are_obeyed_whatever_the_rate(tiny_folder: Path, tmp_path: Path) -> None:
    """A command given in a flood has taken effect within a few frames, which come in time.

    Frames come every tenth of a second as long as the loop goes round: before the change is told
    there are no more of them than the loop needs for a turn, and by the worker's own clock their
    gaps are short.
    """
    flood = msgspec.structs.replace(FLOOD, max_waiting=2_000)
    calm = msgspec.structs.replace(flood, rate_per_s=1.0)
    with bare_worker(tiny_options(tiny_folder, flood), tmp_path / "log") as worker:
        worker.until(
            lambda report: isinstance(report, Frame) and known(report.accounting).rejected > 20_000
        )
        for command, kind in (
            (SetStrategy(name=StrategyName.SINGLE), "strategy"),
            (SetStrategy(name=StrategyName.HYBRID), "strategy"),
            (SetLoad(load=msgspec.structs.replace(flood, paused=True)), "load"),
            (SetLoad(load=flood), "load"),
            (SetLoad(load=calm), "load"),
        ):
            worker.send(command)
            frames: list[Frame] = []

            def told(report: object, kind: str = kind, frames: list[Frame] = frames) -> bool:
                if isinstance(report, Frame):
                    frames.append(report)
                return isinstance(report, Switched) and report.kind == kind

            worker.until(told)
            assert len(frames) <= MOST_FRAMES_BEFORE, kind
        last = worker.until(lambda report: isinstance(report, Frame) and report.load == calm)
        assert isinstance(last, Frame)
        worker.until(
            lambda report: (
                isinstance(report, Frame)
                and known(report.queue.waiting) < known(last.queue.waiting) - 20
            )
        )
        worker.send(Shutdown())
        assert worker.end() == 0
