"""Measuring cells beside the live load: held between benches, stopped within one, abandoned."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from loop_harness import LOAD, Clock, converse, make_engine
from of_our_own import known
from prodtop.engine.protocol import (
    COMMAND_DECODER,
    REPORT_DECODER,
    BenchDone,
    BenchSpec,
    CellResult,
    Command,
    Fault,
    Frame,
    LoadSpec,
    Message,
    Note,
    PrecisionName,
    Progress,
    Report,
    RunBench,
    SetLoad,
    SetPrecision,
    SetSlo,
    Shutdown,
    SloSpec,
    StopBench,
    StrategyName,
)
from prodtop.engine.protocol.channel import Channel
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.serving.engine import Engine
from prodtop.engine.worker.loop import LONGEST_HOLD_S, ServingLoop
from worker_harness import bare_worker, tiny_options

ENDLESS = BenchSpec(
    strategies=[StrategyName.SINGLE],
    precisions=[PrecisionName.INT8],
    requests=10**9,
    load=LOAD,
    max_seqs=2,
    drafts=2,
)
SHORT = msgspec.structs.replace(ENDLESS, requests=2)


@pytest.fixture
def engine(tiny_folder: Path) -> Engine:
    return make_engine(tiny_folder)


@pytest.fixture
def channels() -> Iterator[tuple[Channel[Report], socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours, REPORT_DECODER), theirs


class Script(Channel[Command]):
    """Brings one command after another, each once the loop has done what the last step waits for.

    A step is what to send and until when to wait before the next; then comes `Shutdown`.
    """

    def __init__(self, sock: socket.socket, *steps: tuple[Command, Callable[[], bool]]) -> None:
        super().__init__(sock, COMMAND_DECODER)
        self._steps = [*steps, (Shutdown(), lambda: False)]
        self._over: Callable[[], bool] = lambda: True

    def receive(self) -> list[Command]:
        if not self._over():
            return []
        command, self._over = self._steps.pop(0)
        return [command]


def looks(number: int) -> Callable[[], bool]:
    """True at the so manieth look at the commands."""
    left = iter(range(number, -1, -1))
    return lambda: next(left, 0) == 0


def play(
    engine: Engine,
    channels: tuple[Channel[Report], socket.socket],
    *steps: tuple[Command, Callable[[], bool]],
) -> list[Report]:
    ours, theirs = channels
    ServingLoop(Script(theirs, *steps), engine, WorkerOptions(load=LOAD), None).run()
    return ours.receive()


def submitted(engine: Engine) -> int:
    return engine.metrics.accounting().submitted


def serves(engine: Engine) -> Callable[[], bool]:
    """True once the live load has more requests than at the first look."""
    before: list[int] = []

    def more() -> bool:
        before.append(submitted(engine))
        return before[-1] > before[0] + 2

    return more


@pytest.mark.parametrize("hold", [False, True])
def test_a_stopped_bench_leaves_no_figure_and_the_session_goes_on(
    engine: Engine, channels: tuple[Channel[Report], socket.socket], *, hold: bool
) -> None:
    reports = play(
        engine,
        channels,
        # Some looks while the live requests end, many within the cell.
        (RunBench(spec=ENDLESS, hold=hold), looks(60)),
        (StopBench(), serves(engine)),
    )
    kinds = [type(r) for r in reports if isinstance(r, CellResult | BenchDone | Progress | Fault)]
    assert kinds == [BenchDone]
    assert (engine.strategy.name, engine.precision) == (
        StrategyName.CONTINUOUS,
        PrecisionName.FP32,
    )
    assert (engine.scheduler.max_seqs, engine.speculation.spec) == (64, None)
    counted = engine.metrics.accounting()
    assert (counted.failed, counted.rejected) == (0, 0)
    assert counted.submitted == counted.finished + counted.in_system


def test_a_bench_stops_while_live_requests_are_seen_to_their_end(
    engine: Engine, channels: tuple[Channel[Report], socket.socket]
) -> None:
    reports = play(
        engine,
        channels,
        (SetLoad(load=LOAD), serves(engine)),
        (RunBench(spec=ENDLESS, hold=True), looks(0)),
        (StopBench(), serves(engine)),
    )
    assert [type(r) for r in reports if isinstance(r, CellResult | BenchDone)] == [BenchDone]
    assert engine.metrics.accounting().failed == 0


@pytest.mark.parametrize("end", [StopBench(), Shutdown()])
def test_what_stops_a_bench_may_come_in_one_breath_with_it(
    engine: Engine, channels: tuple[Channel[Report], socket.socket], end: Message
) -> None:
    reports = converse(engine, channels, RunBench(spec=ENDLESS), end)
    assert not any(isinstance(report, CellResult) for report in reports)


def test_the_live_load_waits_from_one_held_bench_to_the_next(
    engine: Engine, channels: tuple[Channel[Report], socket.socket]
) -> None:
    """Also where another load is set meanwhile, which is served once the last is over."""
    ours, theirs = channels
    reports: list[Report] = []
    seen: list[int] = []

    def measured() -> bool:
        reports.extend(came := ours.receive())
        return any(isinstance(report, BenchDone) for report in came)

    def noted() -> bool:
        seen.append(submitted(engine))
        return len(seen) % 5 == 0

    other = LoadSpec(users=1, output_tokens_min=4, output_tokens_max=8)
    impossible = LoadSpec(prompt_tokens_min=300, prompt_tokens_max=300)
    script = Script(
        theirs,
        (SetLoad(load=LOAD), serves(engine)),
        (RunBench(spec=SHORT, hold=True), measured),
        (SetLoad(load=impossible), noted),
        (SetLoad(load=other), noted),
        (RunBench(spec=SHORT, hold=True), measured),
        (SetPrecision(name=PrecisionName.BF16), noted),
        (StopBench(), serves(engine)),
    )
    ServingLoop(script, engine, WorkerOptions(load=LOAD), None).run()
    reports += ours.receive()
    assert len([report for report in reports if isinstance(report, CellResult)]) == 2
    assert len(set(seen)) == 1, "nothing of the live load came between"
    frames = [report for report in reports if isinstance(report, Frame)]
    assert {known(frame.load).users for frame in frames} == {2, 1}, "what is held is still the load"
    assert not any(known(frame.load).paused for frame in frames)
    assert frames[-1].load == other
    assert engine.precision is PrecisionName.BF16
    (refused,) = [report for report in reports if isinstance(report, Note)]
    assert "prompts of 300 tokens leave no room" in refused.message
    assert engine.metrics.accounting().failed == 0


def test_a_sweep_that_is_abandoned_gives_the_engine_back(
    engine: Engine, channels: tuple[Channel[Report], socket.socket]
) -> None:
    ours, _ = channels
    clock = engine.clock
    assert isinstance(clock, Clock)

    def long_after() -> bool:
        over = any(isinstance(report, BenchDone) for report in ours.receive())
        clock.now_s += LONGEST_HOLD_S if over else 0.0
        return over

    play(
        engine,
        channels,
        (RunBench(spec=SHORT, hold=True), long_after),
        (SetSlo(slo=SloSpec()), serves(engine)),
    )
    assert submitted(engine) > 2


def test_a_worker_that_measures_an_endless_cell_ends_when_it_is_told_to(
    tiny_folder: Path, tmp_path: Path
) -> None:
    with bare_worker(tiny_options(tiny_folder, idle=True), tmp_path / "log") as worker:
        worker.until(lambda report: isinstance(report, Frame))
        worker.send(RunBench(spec=SHORT))
        worker.until(lambda report: isinstance(report, BenchDone))
        worker.send(RunBench(spec=ENDLESS))
        worker.send(SetLoad(load=LOAD))
        worker.send(StopBench())
        worker.until(lambda report: isinstance(report, BenchDone))
        worker.until(
            lambda report: isinstance(report, Frame) and known(report.accounting).finished > 2
        )
        worker.send(RunBench(spec=ENDLESS))
        worker.send(Shutdown())
        assert worker.end() == 0
