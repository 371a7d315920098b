"""Children that end, crash, babble and refuse to stop."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from child_scripts import DEADLINE_S, OBEDIENT, Clock, write_child
from frame_samples import frame
from prodtop.engine.client.cause_of_death import MemoryKills
from prodtop.engine.client.child import (
    FIRST_BACKOFF_S,
    HEALTHY_AFTER_S,
    LONGEST_BACKOFF_S,
    MOST_REPEATS,
    SHUTDOWN_GRACE_S,
    Child,
)
from prodtop.engine.protocol import (
    ENCODER,
    REPORT_DECODER,
    ChildDied,
    ChildStarted,
    Fault,
    Note,
    Report,
)

ChildMaker = Callable[..., Child[Report]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_child(tmp_path: Path, clock: Clock) -> Iterator[ChildMaker]:
    """Makes a child that runs the given Python after it has opened its channel."""
    children: list[Child[Report]] = []

    def make(body: str, *, number_attempts: bool = False) -> Child[Report]:
        body = (
            'parser.add_argument("--attempt", type=int)\narguments = parser.parse_args()\n' + body
        )
        script = write_child(tmp_path / f"child{len(children)}.py", body)
        attempts = count(1)

        def command() -> list[str]:
            attempt = next(attempts) if number_attempts else 1
            return [sys.executable, str(script), "--attempt", str(attempt)]

        children.append(Child("worker", command, REPORT_DECODER, clock))
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
    child = make_child("sys.exit(arguments.attempt)", number_attempts=True)
    child.start()
    waits: list[float] = []
    for attempt in range(1, 8):
        death = death_of(child)
        assert death.reason == f"ended with exit code {attempt}"
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


DEAF = """
channel.send(Note(message="here"))
while True:
    time.sleep(60)
"""
"""Hears nothing, not even that it is to end."""


def test_a_child_that_ended_by_a_fatal_fault_can_be_started_again(make_child: ChildMaker) -> None:
    fault = Fault(message="unknown model 'x'", fatal=True, exit_code=2)
    body = f"if arguments.attempt == 1: channel.send({fault!r}); sys.exit(2)\n{OBEDIENT}"
    child = make_child(body, number_attempts=True)
    child.start()
    poll_until(child, ChildDied)
    assert isinstance(child.start_again(), ChildStarted)
    poll_until(child, Note)


@pytest.mark.parametrize("deaf", [False, True], ids=["obedient", "deaf"])
def test_a_child_is_started_anew_whether_or_not_it_listens(
    deaf: bool, make_child: ChildMaker, clock: Clock
) -> None:
    child = make_child(DEAF if deaf else OBEDIENT)
    child.start()
    poll_until(child, Note)
    first = child.pid
    assert child.restart() is None
    clock.now_s += SHUTDOWN_GRACE_S if deaf else 0
    assert death_of(child) == ChildDied(
        child="worker", reason="ended to start anew", restart_in_s=0.0
    )
    assert not child.died_by_itself
    poll_until(child, Note)
    assert child.pid not in (None, first)


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


def test_the_log_is_bounded_while_one_child_runs(
    make_child: ChildMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while it ends: who does not read what a child prints makes it wait."""
    monkeypatch.setattr("prodtop.engine.files.rotating_log.MAX_LOG_BYTES", 100_000)
    chatter = "for _ in range(40): os.write(1, b'line\\n' * 20_000)\n"
    child = make_child(chatter + OBEDIENT + chatter + "print('the end')")
    child.start()
    poll_until(child, Note)
    child.stop()
    logs = sorted(tmp_path.glob("xdg-state/**/worker.log*"))
    assert [log.name for log in logs] == ["worker.log", "worker.log.1"]
    assert all(log.stat().st_size <= 100_000 for log in logs)
    assert logs[0].read_text().endswith("the end\n")


def test_a_machine_that_takes_no_log_still_runs_the_child(
    make_child: ChildMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    child = make_child(OBEDIENT)
    child.start()
    assert poll_until(child, Note) == [Note(message="here")]


def deaths_until_given_up(child: Child[Report], clock: Clock, most: int = 12) -> list[ChildDied]:
    """Every death until the child is not restarted any more."""
    child.start()
    deaths: list[ChildDied] = []
    while not deaths or not deaths[-1].given_up:
        assert len(deaths) < most
        deaths.append(death_of(child))
        clock.now_s += LONGEST_BACKOFF_S
        child.poll() if not deaths[-1].given_up else None
    return deaths


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("sys.exit(3)", "ended with exit code 3"),
        ("os.kill(os.getpid(), 40)", "killed by signal 40"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("os.abort()", "killed by SIGABRT"),
        ("raise KeyError('x')", "ended with exit code 1: KeyError: 'x'"),
        ("channel.send(Crash(reason='E: why')); sys.exit(1)", "ended by an error: E: why"),
        ("os.write(channel.fileno(), b'\\xff' * 100); time.sleep(60)", "broke the protocol"),
    ],
)
def test_the_same_end_three_times_is_given_up_with_cause_and_log(
    make_child: ChildMaker, clock: Clock, body: str, reason: str
) -> None:
    child = make_child(body)
    deaths = deaths_until_given_up(child, clock)
    assert len(deaths) == MOST_REPEATS
    assert all(reason in death.reason for death in deaths)
    assert deaths[-1].restart_in_s is None
    clock.now_s += 1000
    assert child.poll() == []
    assert isinstance(child.start_again(), ChildStarted)


def test_two_causes_that_take_turns_are_given_up_as_well(
    make_child: ChildMaker, clock: Clock
) -> None:
    child = make_child("sys.exit(3 + arguments.attempt % 2)", number_attempts=True)
    assert len(deaths_until_given_up(child, clock)) == 2 * MOST_REPEATS - 1


def test_a_serving_child_that_somebody_kills_is_started_for_ever(
    make_child: ChildMaker, clock: Clock
) -> None:
    sample = ENCODER.encode(frame())
    child = make_child(
        f"import msgspec; channel.send(msgspec.msgpack.decode({sample!r}, type=Frame))\n" + OBEDIENT
    )
    child.start()
    for _ in range(MOST_REPEATS + 2):
        poll_until(child, Note)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGTERM)
        assert not death_of(child).given_up
        clock.now_s += LONGEST_BACKOFF_S
        child.poll()


@pytest.mark.parametrize("writable", [True, False])
def test_the_reason_is_known_whether_or_not_a_log_can_be_written(
    make_child: ChildMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, writable: bool
) -> None:
    if not writable:
        blocked = tmp_path / "file"
        blocked.write_text("")
        monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    child = make_child("raise RuntimeError('no such kernel')")
    child.start()
    death = death_of(child)
    assert death.reason.endswith("RuntimeError: no such kernel")
    assert (death.log is not None) is writable
    assert death.log is None or Path(death.log).is_file()


def test_a_kill_for_memory_is_named_as_such(tmp_path: Path, clock: Clock) -> None:
    readings = iter([MemoryKills(0, 7, 2**30), MemoryKills(0, 7, 2**30), MemoryKills(1, 8, 2**30)])
    script = write_child(tmp_path / "child.py", "os.kill(os.getpid(), signal.SIGKILL)")
    child = Child(
        "worker",
        lambda: [sys.executable, str(script)],
        REPORT_DECODER,
        clock,
        memory_kills=lambda: next(readings),
    )
    child.start()
    assert death_of(child).reason == (
        "killed by the kernel, out of memory: the cgroup's limit is 1 GiB"
    )
