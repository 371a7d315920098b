"""The local engine over real processes: one plays the worker, one the probe, both get killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from child_scripts import DEADLINE_S, Clock, write_child
from prodtop.engine.client.local_engine import LocalEngine
from prodtop.engine.protocol import (
    Accounting,
    ChildDied,
    ChildStarted,
    Fault,
    Frame,
)
from prodtop.engine.protocol.options import WorkerOptions
from scripted_children import (
    PROBE,
    EngineMaker,
    engines_in,
    has,
    kill_worker,
    poll_until,
    restart,
    said,
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_engine(tmp_path: Path, clock: Clock) -> Iterator[EngineMaker]:
    with engines_in(tmp_path, clock) as make:
        yield make


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
