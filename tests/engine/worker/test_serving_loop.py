"""The worker's loop in this process: commands in, reports out, between two ends of a socket."""

import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from loop_harness import LOAD, converse, make_engine
from of_our_own import known
from preparing_pieces import pieces_of
from prodtop.engine.metrics.told_requests import MOST_SAMPLES
from prodtop.engine.model.decoder import Decoder
from prodtop.engine.protocol import (
    COMMAND_DECODER,
    REPORT_DECODER,
    BenchDone,
    BenchSpec,
    CellResult,
    Command,
    FinishedSample,
    Frame,
    LoadSpec,
    Note,
    PrecisionName,
    Report,
    RunBench,
    SetLoad,
    SetPrecision,
    SetSlo,
    SetSpeculation,
    SetStrategy,
    Shutdown,
    SloSpec,
    SpeculationSpec,
    StrategyName,
    Switched,
)
from prodtop.engine.protocol.channel import Channel
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.serving.eager_runner import EagerRunner
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.kv_cache import KVCache
from prodtop.engine.serving.request import Completion
from prodtop.engine.serving.runner import Runner, StepResult, runner_for
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.serving.step_plan import Chunk
from prodtop.engine.worker.loop import ServingLoop


@pytest.fixture
def engine(tiny_folder: Path) -> Engine:
    return make_engine(tiny_folder)


@pytest.fixture
def channels() -> Iterator[tuple[Channel[Report], socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours, REPORT_DECODER), theirs


def test_commands_are_obeyed_in_their_order(
    engine: Engine, channels: tuple[Channel[Report], socket.socket]
) -> None:
    reports = converse(
        engine,
        channels,
        SetStrategy(name=StrategyName.CACHED),
        SetPrecision(name=PrecisionName.INT8),
        SetLoad(load=LoadSpec(users=5)),
        SetStrategy(name=StrategyName.SINGLE),
        SetSpeculation(spec=SpeculationSpec(drafts=3)),
        SetSpeculation(spec=SpeculationSpec(drafts=3)),
    )
    switches = [(r.kind, r.old, r.new) for r in reports if isinstance(r, Switched)]
    assert switches == [
        ("strategy", "continuous", "cached"),
        ("precision", "fp32", "int8"),
        ("load", "2 users", "5 users"),
        ("strategy", "cached", "single"),
        ("speculation", "no drafts", "3 drafts"),
    ]
    before, frame = (report for report in reports if isinstance(report, Frame))
    assert (before.switching, before.precision) == (
        "fp32 → int8: packing weights",
        PrecisionName.FP32,
    )
    assert frame.switching is None
    assert (frame.strategy, frame.precision) == (StrategyName.SINGLE, PrecisionName.INT8)
    assert frame.last_switch is not None
    assert frame.last_switch.old == "continuous, fp32, 2 users, no drafts"
    assert frame.last_switch.new == "single, int8, 5 users, 3 drafts"
    assert frame.speculation is not None
    assert frame.speculation.spec == SpeculationSpec(drafts=3)


def test_limits_come_with_the_options_and_change_live(
    engine: Engine, channels: tuple[Channel[Report], socket.socket]
) -> None:
    """They are no setting of the engine's: no switch is told of, and nothing is compared."""
    slo = SloSpec(ttft_ms=77.0, queue_ms=5.0)
    reports = converse(engine, channels, SetSlo(slo=slo))
    (frame,) = (report for report in reports if isinstance(report, Frame))
    assert frame.slo == slo
    assert not any(isinstance(report, Switched) for report in reports)
    assert engine.metrics.attainment.slo == slo


def test_a_precision_that_does_not_fit_is_refused_and_serving_goes_on(
    tiny_folder: Path, channels: tuple[Channel[Report], socket.socket]
) -> None:
    def full(decoder: Decoder, kv_cache: KVCache, settings: EngineSettings) -> Runner:
        if decoder.precision is PrecisionName.BF16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return runner_for(decoder, kv_cache, settings)

    engine = make_engine(tiny_folder, full)
    reports = converse(engine, channels, SetPrecision(name=PrecisionName.BF16))
    (note,) = [report for report in reports if isinstance(report, Note)]
    assert note.message == "bf16 does not fit into the device's memory: staying at fp32"
    assert not any(isinstance(report, Switched) for report in reports)
    *_, frame = (report for report in reports if isinstance(report, Frame))
    assert (frame.precision, frame.queue.running) == (PrecisionName.FP32, 2)
    assert (frame.switching, frame.last_switch) == (None, None)


def test_a_bench_tells_of_memory_that_ran_out_before_the_cell_it_failed_in(
    engine: Engine,
    channels: tuple[Channel[Report], socket.socket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = channels
    launch = engine.runner.launch
    failures = [torch.OutOfMemoryError()]

    def full_once(chunks: Sequence[Chunk]) -> StepResult:
        if failures:
            raise failures.pop()
        return launch(chunks)

    monkeypatch.setattr(engine.runner, "launch", full_once)
    spec = BenchSpec(
        strategies=[StrategyName.CONTINUOUS],
        precisions=[PrecisionName.FP32],
        requests=4,
        load=LOAD,
    )
    assert ours.send(RunBench(spec=spec))
    commands = then_hybrid(theirs, engine)
    ServingLoop(commands, engine, WorkerOptions(load=LOAD, idle=True), None).run()
    reports = ours.receive()
    note, cell = (report for report in reports if isinstance(report, Note | CellResult))
    assert isinstance(note, Note)
    assert "ran out of memory" in note.message
    assert isinstance(cell, CellResult)
    assert cell.failed == 2


def test_what_is_asked_for_during_a_bench_is_done_after_it(
    engine: Engine, channels: tuple[Channel[Report], socket.socket]
) -> None:
    ours, theirs = channels
    spec = BenchSpec(
        strategies=[StrategyName.SINGLE],
        precisions=[PrecisionName.FP32],
        requests=4,
        load=LOAD,
    )
    assert ours.send(RunBench(spec=spec))
    commands = then_hybrid(theirs, engine)
    ServingLoop(commands, engine, WorkerOptions(load=LOAD), None).run()
    kinds = [
        type(report)
        for report in ours.receive()
        if isinstance(report, CellResult | BenchDone | Switched)
    ]
    assert kinds == [CellResult, BenchDone, Switched]


class LateCommands(Channel[Command]):
    """Brings what was sent, then `later`, and `Shutdown` once `over` says so."""

    def __init__(self, sock: socket.socket, later: Command, over: Callable[[], bool]) -> None:
        super().__init__(sock, COMMAND_DECODER)
        self._later = [later]
        self._over = over

    def receive(self) -> list[Command]:
        if received := super().receive():
            return received
        received, self._later = self._later, []
        return received or ([Shutdown()] if self._over() else [])


def then_hybrid(sock: socket.socket, engine: Engine) -> LateCommands:
    """What was sent, a switch to hybrid during it, and the end once that is done."""
    return LateCommands(
        sock,
        SetStrategy(name=StrategyName.HYBRID),
        lambda: engine.strategy.name is StrategyName.HYBRID,
    )


def test_a_burst_of_finished_requests_is_sampled(
    engine: Engine, channels: tuple[Channel[Report], socket.socket]
) -> None:
    burst = LoadSpec(
        users=60, output_tokens_min=1, output_tokens_max=1, prompt_tokens_min=2, prompt_tokens_max=2
    )
    reports = converse(engine, channels, load=burst)
    (sample,) = [report for report in reports if isinstance(report, FinishedSample)]
    (frame,) = [report for report in reports if isinstance(report, Frame)]
    assert len(sample.requests) == MOST_SAMPLES < known(frame.accounting).finished
    assert {request.finish_reason for request in sample.requests} <= {"length", "stop"}


def soon(decoder: Decoder, kv_cache: KVCache, settings: EngineSettings) -> Runner:
    """Serves by a substitute for four pieces, of which every other one waits."""
    return EagerRunner(runner_for(decoder, kv_cache, settings), pieces_of(4))


def test_frames_say_what_is_made_ready_until_it_is(
    tiny_folder: Path, channels: tuple[Channel[Report], socket.socket]
) -> None:
    engine = make_engine(tiny_folder, soon)
    reports = converse(engine, channels)
    (frame,) = (report for report in reports if isinstance(report, Frame))
    assert frame.preparing == "piece 1"
    while engine.preparing is not None:
        engine.prepare()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        again = Channel(ours, REPORT_DECODER)
        (ready,) = (r for r in converse(engine, (again, theirs)) if isinstance(r, Frame))
    assert ready.preparing is None


def test_cells_are_measured_once_the_kernels_serve(
    tiny_folder: Path,
    channels: tuple[Channel[Report], socket.socket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = make_engine(tiny_folder, soon)
    ours, theirs = channels
    spec = BenchSpec(
        strategies=[StrategyName.CONTINUOUS],
        precisions=[PrecisionName.FP32, PrecisionName.BF16],
        load=LOAD,
        requests=2,
    )
    seen: list[bool] = []
    step = engine.step

    def looked_at() -> list[Completion]:
        seen.append(engine.preparing is None)
        return step()

    monkeypatch.setattr(engine, "step", looked_at)
    options = WorkerOptions(load=LoadSpec(paused=True))
    loop = ServingLoop(Channel(theirs, COMMAND_DECODER), engine, options, None)
    loop._measure(spec)
    cells = [report for report in ours.receive() if isinstance(report, CellResult)]
    assert [cell.precision for cell in cells] == [PrecisionName.FP32, PrecisionName.BF16]
    assert seen
    assert all(seen)
