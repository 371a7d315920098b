"""Children that end, crash, babble and refuse to stop."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from child_scripts import DEADLINE_S, OBEDIENT, Clock, write_child
from prodtop.engine.client.child import FIRST_BACKOFF_S, HEALTHY_AFTER_S, LONGEST_BACKOFF_S, Child
from prodtop.engine.protocol import REPORT_DECODER, ChildDied, ChildStarted, Fault, Note, Report

ChildMaker = Callable[[str], Child[Report]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_child(tmp_path: Path, clock: Clock) -> Iterator[ChildMaker]:
    """Makes a child that runs the given Python after it has opened its channel."""
    children: list[Child[Report]] = []

    def make(body: str) -> Child[Report]:
        script = write_child(tmp_path / f"child{len(children)}.py", body)
        command = [sys.executable, str(script)]
        children.append(Child("worker", lambda: command, REPORT_DECODER, clock))
        return children[-1]

    yield make
    for child in children:
        child.stop()


def poll_until(child: Child[Report], wanted: type[Report]) -> list[Report]:
    """Poll until a report of that kind has come; all that came."""
    deadline_s = time.monotonic() + DEADLINE_S
    reports: list[Report] = []
    while not any(isinstance(report, wanted) for report in reports):
        assert time.monotonic() < deadline_s, f"no {wanted.__name__} among {reports}"
        reports += child.poll()
        time.sleep(0.005)
    return reports


def death_of(child: Child[Report]) -> ChildDied:
    (death,) = [report for report in poll_until(child, ChildDied) if isinstance(report, ChildDied)]
    return death


def test_a_child_is_started_and_heard(make_child: ChildMaker) -> None:
    child = make_child(OBEDIENT)
    started = child.start()
    assert started == ChildStarted(child="worker", pid=child.pid or 0, attempt=1)
    assert poll_until(child, Note) == [Note(message="here")]


def test_a_killed_child_is_started_again_after_the_back_off(
    make_child: ChildMaker, clock: Clock
) -> None:
    child = make_child(OBEDIENT)
    child.start()
    poll_until(child, Note)
    assert child.pid is not None
    first_pid = child.pid
    os.kill(first_pid, signal.SIGKILL)

    death = death_of(child)
    assert death.reason == "killed by SIGKILL"
    assert death.restart_in_s == FIRST_BACKOFF_S
    assert child.poll() == []

    clock.now_s += FIRST_BACKOFF_S
    (started,) = child.poll()
    assert isinstance(started, ChildStarted)
    assert started.attempt == 2
    assert started.pid != first_pid


def test_the_back_off_doubles_to_its_limit_and_forgets_after_good_health(
    make_child: ChildMaker, clock: Clock
) -> None:
    child = make_child("sys.exit(3)")
    child.start()
    waits: list[float] = []
    for _ in range(7):
        death = death_of(child)
        assert death.reason == "ended with exit code 3"
        assert death.restart_in_s is not None
        waits.append(death.restart_in_s)
        clock.now_s += death.restart_in_s
        child.poll()
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, LONGEST_BACKOFF_S, LONGEST_BACKOFF_S]

    clock.now_s += HEALTHY_AFTER_S
    assert death_of(child).restart_in_s == FIRST_BACKOFF_S


def test_a_fatal_fault_is_heard_and_the_child_not_started_again(
    make_child: ChildMaker, clock: Clock
) -> None:
    fault = Fault(message="unknown model 'x'", fatal=True, exit_code=2)
    child = make_child(f"channel.send({fault!r}); sys.exit(2)")
    child.start()
    reports = poll_until(child, ChildDied)
    assert reports == [fault, ChildDied(child="worker", reason="unknown model 'x'")]
    clock.now_s += 1000
    assert child.poll() == []


def test_a_child_that_breaks_the_protocol_is_ended_and_started_again(
    make_child: ChildMaker,
) -> None:
    child = make_child("os.write(channel.fileno(), b'\\xff' * 100); time.sleep(60)")
    child.start()
    death = death_of(child)
    assert "broke the protocol" in death.reason
    assert death.restart_in_s == FIRST_BACKOFF_S


def test_a_child_that_hangs_up_and_lives_on_is_ended(make_child: ChildMaker, clock: Clock) -> None:
    child = make_child("channel.close(); time.sleep(60)")
    child.start()
    deadline_s = time.monotonic() + DEADLINE_S
    while child.fileno() is not None:
        assert time.monotonic() < deadline_s
        child.poll()
    child.poll()
    clock.now_s += 60
    assert death_of(child).reason == "killed by SIGKILL"


def test_a_command_that_cannot_run_is_a_death_with_a_reason(clock: Clock, tmp_path: Path) -> None:
    child = Child("probe", lambda: [str(tmp_path / "nothing")], REPORT_DECODER, clock)
    death = child.start()
    assert isinstance(death, ChildDied)
    assert death.reason.startswith("cannot be started")
    assert death.restart_in_s == FIRST_BACKOFF_S


def test_stopping_asks_first(make_child: ChildMaker, tmp_path: Path) -> None:
    farewell = tmp_path / "farewell"
    child = make_child(OBEDIENT + f"open({str(farewell)!r}, 'w').close()")
    child.start()
    poll_until(child, Note)
    child.stop()
    assert farewell.exists()
    assert child.pid is None
    assert child.poll() == []


def test_stopping_a_deaf_child_ends_it_all_the_same(
    make_child: ChildMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prodtop.engine.client.child.SHUTDOWN_GRACE_S", 0.05)
    monkeypatch.setattr("prodtop.engine.client.child.TERMINATE_GRACE_S", 0.05)
    child = make_child(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "channel.send(Note(message='deaf')); time.sleep(60)"
    )
    child.start()
    poll_until(child, Note)
    child.stop()
    assert child.pid is None


def test_what_a_child_prints_goes_to_its_log(make_child: ChildMaker, tmp_path: Path) -> None:
    child = make_child("print('out'); print('err', file=sys.stderr); assert sys.stdin.read() == ''")
    child.start()
    death_of(child)
    (log,) = tmp_path.glob("xdg-state/**/worker.log")
    assert sorted(log.read_text().split()) == ["err", "out"]
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_machine_that_takes_no_log_still_runs_the_child(
    make_child: ChildMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    child = make_child(OBEDIENT)
    child.start()
    assert poll_until(child, Note) == [Note(message="here")]
