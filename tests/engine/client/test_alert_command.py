"""The command of `on_alert`: what it is given, how often it runs, and that it holds nobody."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from child_scripts import Clock
from prodtop.engine.client.alert_command import MINUTE_S, MOST_AT_ONCE, AlertCommand
from prodtop.engine.protocol import Severity, TargetAlert, TargetName
from prodtop.engine.targets.settings import TargetSettings

DEADLINE_S = 30.0
ALERT = TargetAlert(
    target=TargetName.AVAILABILITY,
    severity=Severity.PAGE,
    active=True,
    began_wall_s=1000.0,
    wall_s=1000.0,
    text="availability 98 %; $(touch owned) `touch owned`",
    limit=0.999,
    value=0.98,
)


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def command(
    argv: list[str], clock: Callable[[], float] = time.monotonic, **changes: float
) -> AlertCommand:
    fields = {"timeout_s": DEADLINE_S, "per_minute": 10, **changes}
    return AlertCommand(
        argv, timeout_s=fields["timeout_s"], per_minute=int(fields["per_minute"]), clock=clock
    )


def troubles_of(run: AlertCommand, number: int = 1) -> list[str]:
    """What it tells, once it has told so much."""
    told: list[str] = []
    deadline_s = time.monotonic() + DEADLINE_S
    while len(told) < number and time.monotonic() < deadline_s:
        told += run.poll()
        time.sleep(0.01)
    return told


def test_it_is_given_the_alert_as_json_and_no_shell_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = "import sys; open('told','w').write(sys.stdin.read()); print(sys.argv[1])"
    run = command([*python(script), "$(touch owned)"])
    run.run(ALERT)
    run.close()
    told = json.loads((tmp_path / "told").read_text(encoding="utf-8"))
    assert told == {
        "type": "TargetAlert",
        "target": "availability",
        "severity": "page",
        "active": True,
        "began_wall_s": 1000.0,
        "wall_s": 1000.0,
        "text": ALERT.text,
        "limit": 0.999,
        "value": 0.98,
    }
    assert run.poll() == []
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["/nowhere/at/all"], "FileNotFoundError"),
        (["/"], "PermissionError"),
        (python("raise SystemExit(3)"), "exit code 3"),
        (python("import os; os.kill(os.getpid(), 9)"), "signal 9"),
        (["with\0zero"], "ValueError"),
    ],
)
def test_what_fails_is_told_and_holds_nobody(argv: list[str], words: str) -> None:
    run = command(argv)
    run.run(ALERT)
    (told,) = troubles_of(run)
    assert words in told
    assert told.startswith("on_alert ")


def test_it_is_killed_with_its_children_when_it_takes_too_long(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = (
        "import os, subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        f"path = {str(pids)!r};"
        "open(path + '.new', 'w').write(f'{os.getpid()} {child.pid}');"
        "os.rename(path + '.new', path); time.sleep(600)"
    )
    clock = Clock()
    run = command(python(script), clock=clock, timeout_s=10.0)
    run.run(ALERT)
    deadline_s = time.monotonic() + DEADLINE_S
    while not pids.exists() and time.monotonic() < deadline_s:
        assert run.poll() == []
        time.sleep(0.01)
    clock.now_s += 11.0
    assert "killed after 10 s" in run.poll()[0]
    for pid in map(int, pids.read_text().split()):
        while _runs(pid) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or " Z " not in state.read_text()


def test_it_runs_at_most_so_often(tmp_path: Path) -> None:
    """Of seven in a minute two are run, and those left out are told once; then it may run again."""
    clock = Clock()
    script = f"import os; os.close(os.open({str(tmp_path)!r} + f'/{{os.getpid()}}', os.O_CREAT))"
    run = command(python(script), clock=clock, per_minute=2, timeout_s=600.0)
    for _ in range(7):
        run.run(ALERT)
    told = troubles_of(run)
    assert "5 not handed over: at most 2 a minute" in told[0]
    clock.now_s += MINUTE_S
    run.run(ALERT)
    run.close()
    assert len(list(tmp_path.iterdir())) == 3


def test_few_run_at_once() -> None:
    run = command(python("import sys; sys.stdin.read(); import time; time.sleep(600)"))
    for _ in range(MOST_AT_ONCE + 2):
        run.run(ALERT)
    assert "2 not handed over" in troubles_of(run)[0]
    for each in run._runs:
        each.kill()
    run.close()


def test_without_a_command_there_is_none() -> None:
    assert AlertCommand.of(TargetSettings()) is None
    assert AlertCommand.of(TargetSettings(on_alert=("true",))) is not None
