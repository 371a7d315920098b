"""The local engine over real processes: one plays the worker, one the probe, both get killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from child_scripts import DEADLINE_S, Clock, write_child
from frame_samples import frame
from prodtop.engine.client.local_engine import LocalEngine
from prodtop.engine.protocol import (
    ENCODER,
    Accounting,
    ChildDied,
    ChildStarted,
    EngineChanges,
    Fault,
    Frame,
    LoadSpec,
    Note,
    PrecisionName,
    Report,
    SetLoad,
    SetPrecision,
    SetSpeculation,
    SetStrategy,
    SpeculationSpec,
    StartAgain,
    StartAnew,
    StrategyName,
)
from prodtop.engine.protocol.options import WorkerOptions, from_argument, to_argument

WORKER = """
channel.send(Note(message=arguments.options))
channel.send(msgspec.msgpack.decode(FRAME, type=Frame))
while not channel.closed:
    select.select([channel], [], [])
    for command in channel.receive():
        if isinstance(command, Shutdown):
            sys.exit(0)
        channel.send(Note(message=repr(command)))
"""

PROBE = """
while not channel.closed:
    select.select([channel], [], [])
    for command in channel.receive():
        if isinstance(command, Shutdown):
            sys.exit(0)
        channel.send(Note(message=f"watching {command.pid}"))
"""

FRAME = frame(
    accounting=Accounting(submitted=9, finished=4, failed=1, in_system=4),
    precision=PrecisionName.BF16,
    generated_tokens_total=50,
)

EngineMaker = Callable[..., LocalEngine]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_engine(tmp_path: Path, clock: Clock) -> Iterator[EngineMaker]:
    """Makes and starts an engine whose worker runs the given Python."""
    engines: list[LocalEngine] = []

    def make(worker: str = WORKER, options: WorkerOptions | None = None) -> LocalEngine:
        body = f"import msgspec\nFRAME = {ENCODER.encode(FRAME)!r}\n{worker}"
        worker_script = write_child(tmp_path / "worker.py", body)
        probe_script = write_child(tmp_path / "probe.py", PROBE)

        def worker_command(options: WorkerOptions) -> list[str]:
            return [sys.executable, str(worker_script), "--options", to_argument(options)]

        engine = LocalEngine(
            options or WorkerOptions(),
            worker_command=worker_command,
            probe_command=lambda: [sys.executable, str(probe_script)],
            clock=clock,
        )
        engine.start()
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


def poll_until(engine: LocalEngine, done: Callable[[list[Report]], bool]) -> list[Report]:
    """Poll until `done` says so of all that came; all that came."""
    deadline_s = time.monotonic() + DEADLINE_S
    reports: list[Report] = []
    while not done(reports):
        assert time.monotonic() < deadline_s, f"only {reports}"
        engine.wait(0.05)
        reports += engine.poll()
    return reports


def has(kind: type[Report]) -> Callable[[list[Report]], bool]:
    return lambda reports: any(isinstance(report, kind) for report in reports)


def notes(reports: list[Report]) -> list[str]:
    return [report.message for report in reports if isinstance(report, Note)]


def said(message: str) -> Callable[[list[Report]], bool]:
    return lambda reports: message in notes(reports)


def options_of(reports: list[Report]) -> WorkerOptions:
    """What the worker was started with: it says so."""
    (text,) = [note for note in notes(reports) if note.startswith("{")]
    return from_argument(text)


def kill_worker(engine: LocalEngine) -> ChildDied:
    """`kill -9`, and the death as reported."""
    assert engine.worker_pid is not None
    os.kill(engine.worker_pid, signal.SIGKILL)
    reports = poll_until(engine, has(ChildDied))
    (death,) = [report for report in reports if isinstance(report, ChildDied)]
    return death


def restart(engine: LocalEngine, clock: Clock) -> list[Report]:
    """Let the back-off pass; all that comes until the probe knows of the new worker."""
    clock.now_s += 60
    return poll_until(
        engine,
        lambda reports: has(Frame)(reports) and said(f"watching {engine.worker_pid}")(reports),
    )


def test_both_children_start_and_the_probe_watches_the_worker(make_engine: EngineMaker) -> None:
    engine = make_engine()
    pid = engine.worker_pid
    reports = poll_until(engine, said(f"watching {pid}"))
    assert ChildStarted(child="worker", pid=pid or 0, attempt=1) in reports
    assert [report.child for report in reports if isinstance(report, ChildStarted)] == [
        "worker",
        "probe",
    ]


def test_the_probe_starts_with_the_first_poll_and_the_worker_at_once(tmp_path: Path) -> None:
    """Its imports would take cores from the worker's and the screen's before the first frame."""
    asked: list[str] = []

    def command(child: str) -> list[str]:
        asked.append(child)
        return [sys.executable, str(write_child(tmp_path / f"{child}.py", PROBE))]

    engine = LocalEngine(
        WorkerOptions(),
        worker_command=lambda _options: command("worker"),
        probe_command=lambda: command("probe"),
    )
    try:
        engine.start()
        assert asked == ["worker"]
        started = [report for report in engine.poll() if isinstance(report, ChildStarted)]
        assert [report.child for report in started] == ["worker", "probe"]
        engine.poll()
        assert asked == ["worker", "probe"]
    finally:
        engine.close()


def test_an_engine_that_is_closed_before_the_first_poll_never_starts_its_probe(
    tmp_path: Path,
) -> None:
    script = write_child(tmp_path / "worker.py", PROBE)
    engine = LocalEngine(
        WorkerOptions(),
        worker_command=lambda _options: [sys.executable, str(script)],
        probe_command=lambda: pytest.fail("the probe was started"),
    )
    engine.start()
    engine.close()
    assert [report.child for report in engine.poll() if isinstance(report, ChildStarted)] == [
        "worker"
    ]


def test_a_killed_worker_costs_its_requests_and_the_session_goes_on(
    make_engine: EngineMaker, clock: Clock
) -> None:
    engine = make_engine()
    poll_until(engine, has(Frame))
    death = kill_worker(engine)
    assert death.child == "worker"
    assert death.reason == "killed by SIGKILL"
    assert death.failed_requests == 4
    assert death.restart_in_s is not None

    (new_frame,) = [each for each in restart(engine, clock) if isinstance(each, Frame)]
    assert new_frame.accounting == Accounting(submitted=18, finished=8, failed=6, in_system=4)
    assert new_frame.generated_tokens_total == 100


def test_a_restarted_worker_begins_where_the_user_left_the_settings(
    make_engine: EngineMaker, clock: Clock
) -> None:
    engine = make_engine(options=WorkerOptions(max_seqs=7))
    poll_until(engine, has(Frame))
    engine.send(SetStrategy(name=StrategyName.SINGLE))
    engine.send(SetLoad(load=LoadSpec(users=3)))
    kill_worker(engine)
    engine.send(SetLoad(load=LoadSpec(users=5)))
    assert options_of(restart(engine, clock)) == WorkerOptions(
        max_seqs=7,
        strategy=StrategyName.SINGLE,
        load=LoadSpec(users=5),
        precision=PrecisionName.BF16,
    )


def test_a_precision_not_reached_is_dropped_and_that_is_said(
    make_engine: EngineMaker, clock: Clock
) -> None:
    engine = make_engine()
    poll_until(engine, has(Frame))
    wanted = SetPrecision(name=PrecisionName.INT8)
    engine.send(wanted)
    poll_until(engine, said(repr(wanted)))
    assert engine.worker_pid is not None
    os.kill(engine.worker_pid, signal.SIGKILL)
    reports = poll_until(engine, has(ChildDied))
    assert "asked for last, and not again by itself: precision int8" in notes(reports)
    reports = restart(engine, clock)
    assert options_of(reports).precision == PrecisionName.BF16
    assert repr(wanted) not in notes(reports)


def test_a_precision_that_kills_is_asked_for_once(make_engine: EngineMaker, clock: Clock) -> None:
    """The worker dies of it, comes back without it, and later choices are obeyed."""
    dies = WORKER.replace(
        "        channel.send(Note(message=repr(command)))",
        "        if isinstance(command, SetPrecision): os.abort()\n"
        "        channel.send(Note(message=repr(command)))",
    )
    engine = make_engine(dies)
    poll_until(engine, has(Frame))
    engine.send(SetPrecision(name=PrecisionName.INT4))
    reports = poll_until(engine, has(ChildDied))
    assert any(
        each.reason == "killed by SIGABRT" for each in reports if isinstance(each, ChildDied)
    )
    assert not has(ChildDied)(restart(engine, clock))
    later = SetStrategy(name=StrategyName.CACHED)
    engine.send(later)
    poll_until(engine, said(repr(later)))


def test_what_was_given_up_is_started_again_when_the_user_says_so(
    make_engine: EngineMaker, clock: Clock
) -> None:
    engine = make_engine("sys.exit(3)")
    deaths: list[ChildDied] = []
    while not deaths or not deaths[-1].given_up:
        reports = poll_until(engine, has(ChildDied))
        deaths += [each for each in reports if isinstance(each, ChildDied)]
        clock.now_s += 60
    assert [death.repeats for death in deaths] == [1, 2, 3]
    assert not has(ChildStarted)(engine.poll())
    engine.send(StartAgain())
    assert has(ChildStarted)(engine.poll())
    (death,) = [each for each in poll_until(engine, has(ChildDied)) if isinstance(each, ChildDied)]
    assert (death.repeats, death.given_up) == (1, False)


def test_drafts_that_were_switched_off_stay_off_and_can_be_had_again(
    make_engine: EngineMaker, clock: Clock
) -> None:
    """The draft model is loaded again: it is named by what the engine was started with."""
    started = SpeculationSpec(drafts=4, draft_model="small")
    engine = make_engine(options=WorkerOptions(speculation=started))
    poll_until(engine, has(Frame))
    off = SetSpeculation(spec=None)
    engine.send(off)
    poll_until(engine, said(repr(off)))
    kill_worker(engine)
    clock.now_s += 60
    reports = poll_until(engine, said(repr(off)))
    assert options_of(reports).speculation == started


def test_a_killed_probe_comes_back_and_watches_again(
    make_engine: EngineMaker, clock: Clock
) -> None:
    engine = make_engine()
    worker_pid = engine.worker_pid
    reports = poll_until(engine, said(f"watching {worker_pid}"))
    (probe_pid,) = [
        report.pid
        for report in reports
        if isinstance(report, ChildStarted) and report.child == "probe"
    ]
    os.kill(probe_pid, signal.SIGKILL)
    (death,) = [
        report for report in poll_until(engine, has(ChildDied)) if isinstance(report, ChildDied)
    ]
    assert (death.child, death.failed_requests) == ("probe", 0)
    clock.now_s += 60
    poll_until(engine, said(f"watching {worker_pid}"))


def test_a_fatal_fault_ends_the_worker_for_good(make_engine: EngineMaker, clock: Clock) -> None:
    fault = Fault(message="unknown model 'x'", fatal=True, exit_code=2)
    engine = make_engine(f"channel.send({fault!r}); sys.exit(2)")
    reports = poll_until(engine, has(ChildDied))
    assert fault in reports
    assert ChildDied(child="worker", reason="unknown model 'x'") in reports
    clock.now_s += 1000
    assert not has(ChildStarted)(engine.poll())


def test_closing_ends_both_children_and_may_be_done_twice(make_engine: EngineMaker) -> None:
    engine = make_engine()
    reports = poll_until(engine, has(Frame))
    pids = [report.pid for report in reports if isinstance(report, ChildStarted)]
    engine.close()
    engine.close()
    assert engine.worker_pid is None
    assert engine.poll() == []
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """A parent that is shot cannot say goodbye: its children see the end of the channel."""
    worker_script = write_child(tmp_path / "worker.py", PROBE)
    parent_script = tmp_path / "parent.py"
    parent_script.write_text(
        "import sys, time\n"
        "from prodtop.engine.client.local_engine import LocalEngine\n"
        "from prodtop.engine.protocol.options import WorkerOptions\n"
        "engine = LocalEngine(WorkerOptions(), probe_command=None,\n"
        f"    worker_command=lambda options: [sys.executable, {str(worker_script)!r}])\n"
        "engine.start()\n"
        "print(engine.worker_pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, str(parent_script)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker_pid = int(parent.stdout.readline())
        parent.kill()
    deadline_s = time.monotonic() + DEADLINE_S
    while _lives(worker_pid):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


REFUSES_X = """
if '"model":"x"' in arguments.options:
    channel.send(Fault(message="unknown model 'x'", fatal=True, exit_code=2))
    sys.exit(2)
"""


def options_told(reports: list[Report]) -> list[WorkerOptions]:
    """The options of every worker that said with which it was started."""
    return [
        from_argument(report.message)
        for report in reports
        if isinstance(report, Note) and report.message.startswith("{")
    ]


def test_the_engine_is_started_anew_with_other_options(make_engine: EngineMaker) -> None:
    engine = make_engine()
    poll_until(engine, has(Frame))
    engine.send(StartAnew(changes=EngineChanges(kv_gib=2.0)))
    reports = poll_until(engine, has(Frame))
    (death,) = [report for report in reports if isinstance(report, ChildDied)]
    assert (death.reason, death.failed_requests) == ("ended to start anew", 4)
    assert [options.kv_gib for options in options_told(reports)] == [2.0]


def test_options_that_no_engine_can_serve_with_lead_back_to_the_last_that_did(
    make_engine: EngineMaker,
) -> None:
    engine = make_engine(REFUSES_X + WORKER)
    poll_until(engine, has(Frame))
    engine.send(StartAnew(changes=EngineChanges(model="x")))
    reports = poll_until(engine, has(Frame))
    assert Fault(message="unknown model 'x'", fatal=False, exit_code=2) in reports
    assert Note(message="asked for last, and not again by itself: model x") in reports
    assert [options.model for options in options_told(reports)] == ["bundled"]
    deaths = [report for report in reports if isinstance(report, ChildDied)]
    assert [death.restart_in_s for death in deaths] == [0.0, 0.0]
