"""Every command with standard streams that are closed, full, or that nobody reads: it ends quietly.

No traceback, no complaint of the interpreter, and an exit code that says what happened: its own,
141 where nobody reads its output, 1 where that cannot be written.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import typer
from prodtop.engine.records.snapshot import save_snapshot
from prodtop.tui.commands.main import app
from snapshot_samples import snapshot
from typer.core import TyperGroup

CHILD = Path(__file__).parents[1] / "closed_streams_child.py"
PRODTOP = [sys.executable, "-m", "prodtop.tui.commands.main"]
PLAN = ["--gpus", "8", "--dp", "8"]

COMMANDS: dict[str, tuple[list[str], int]] = {
    "version": (["--version"], 0),
    "help": (["--help"], 0),
    "live": ([], 2),
    "wrong option": (["--nonsense"], 2),
    "attach wrong": (["attach", "http://"], 2),
    "bench": (["bench"], 0),
    "bench json": (["bench", "--json"], 0),
    "bench wrong": (["bench", "--strategy", "fast"], 2),
    "compare wrong": (["compare", "--strategy", "fast"], 2),
    "whatif none": (["whatif", "none.jsonl"], 2),
    "cost": (["cost"], 0),
    "cost json": (["cost", "--json"], 0),
    "cost none": (["cost", "none"], 2),
    "quality": (["quality"], 0),
    "quality json": (["quality", "--json"], 0),
    "quality wrong": (["quality", "--precision", "fp3"], 2),
    "serve wrong": (["serve", "--strategy", "fast"], 2),
    "ready wrong": (["ready", "--run", "nothing"], 2),
    "doctor": (["doctor"], 0),
    "record wrong": (["record", "--strategy", "fast"], 2),
    "replay none": (["replay", "none"], 2),
    "recording list": (["recording", "list"], 0),
    "recording show none": (["recording", "show", "none"], 2),
    "recording export none": (["recording", "export", "none"], 2),
    "recording rm none": (["recording", "rm", "none"], 2),
    "trace show none": (["trace", "show", "none.csv"], 2),
    "trace record wrong": (["trace", "record", "out.jsonl", "--strategy", "fast"], 2),
    "snapshot list": (["snapshot", "list"], 0),
    "snapshot show": (["snapshot", "show"], 0),
    "snapshot show json": (["snapshot", "show", "--json"], 0),
    "snapshot show none": (["snapshot", "show", "none"], 2),
    "snapshot open none": (["snapshot", "open", "none"], 2),
    "snapshot name none": (["snapshot", "name", "none", "a name"], 2),
    "snapshot diff none": (["snapshot", "diff", "none", "none"], 2),
    "snapshot export none": (["snapshot", "export", "none"], 2),
    "snapshot rm none": (["snapshot", "rm", "none"], 2),
    "diff none": (["diff", "none", "none"], 2),
    "review list": (["review", "list"], 0),
    "review next none": (["review", "next"], 2),
    "review accept none": (["review", "accept", "1"], 2),
    "review refuse none": (["review", "refuse", "1"], 2),
    "review correct none": (["review", "correct", "1", "text"], 2),
    "review export none": (["review", "export"], 2),
    "guards calibrate wrong": (["guards", "calibrate", "--model", "./nowhere"], 2),
    "guards bias wrong": (["guards", "bias", "--model", "./nowhere"], 2),
    "plan": (["plan", *PLAN], 0),
    "plan json": (["plan", "--json", *PLAN], 0),
    "plan compare": (["plan", "compare", "--gpus", "1"], 0),
    "plan capacity": (["plan", "capacity", "--gpu", "h200"], 0),
    "plan calibrate": (["plan", "calibrate"], 0),
    "plan export": (["plan", "export", "megatron", *PLAN], 0),
    "plan export json": (["plan", "export", "megatron", "--json", *PLAN], 0),
}
"""Arguments, and the exit code with streams that are read."""

STATES = {
    "all read": ["read", "read", "read"],
    "output closed": ["read", "closed", "read"],
    "messages closed": ["read", "read", "closed"],
    "all closed": ["closed", "closed", "closed"],
    "output unread": ["read", "gone", "read"],
    "both unread": ["read", "gone", "gone"],
    "output full": ["read", "full", "read"],
    "messages full": ["read", "read", "full"],
}
"""Of input, output and messages."""

Ending = tuple[int, str, str]


class Shell:
    """Runs commands, each in a fork of one process that has loaded all of them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, arguments: list[str], states: list[str]) -> Ending:
        """The exit code, and what was printed on output and messages, where they are read."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([arguments, states]) + "\n")
        self._process.stdin.flush()
        return cast(Ending, tuple(json.loads(self._process.stdout.readline())))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("CONFIG", "DATA", "STATE"):
            patch.setenv(f"XDG_{kind}_HOME", str(folder / kind.lower()))
        save_snapshot(snapshot(), "<svg/>")
        process = subprocess.Popen(
            [sys.executable, str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    with process:
        yield Shell(process)
        assert process.stdin is not None
        process.stdin.close()


def leaves(group: TyperGroup, before: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Every command that can be run, by its words."""
    found: set[tuple[str, ...]] = set()
    for name in group.commands:
        command = group.get_command(typer.Context(group), name)
        if isinstance(command, TyperGroup):
            found |= leaves(command, (*before, name))
        else:
            found.add((*before, name))
    return found


def test_the_table_has_every_command() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    tried = {tuple(arguments[: len(leaf)]) for arguments, _ in COMMANDS.values() for leaf in [()]}
    assert tried == {()}
    for leaf in leaves(group):
        assert any(tuple(arguments[: len(leaf)]) == leaf for arguments, _ in COMMANDS.values()), (
            leaf
        )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_ends_quietly_whatever_its_streams_are(shell: Shell, name: str) -> None:
    arguments, usual = COMMANDS[name]
    code, whole, messages = shell.run(arguments, STATES["all read"])
    assert code == usual
    assert bool(whole) is (usual == 0)
    for state, streams in STATES.items():
        code, out, err = shell.run(arguments, streams)
        expected = usual
        if whole and "gone" in streams[1]:
            expected = 141
        if whole and "full" in streams[1]:
            expected = 1
        assert code == expected, (state, err)
        assert "Traceback" not in err, state
        assert "Exception ignored" not in err, state
        if streams[1] == "read":
            assert out.count("\n") == whole.count("\n"), state
        if streams[2] == "read" and expected != 1:
            assert set(err.splitlines()) <= set(messages.splitlines()), state
        elif streams[2] == "read":
            assert "prodtop: cannot write the output: No space left on device" in err
            assert "a defect" not in err


@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        (">&-", 0),
        ("2>&-", 0),
        ("<&- >&- 2>&-", 0),
        ("| :", 141),
        ("2>&1 >/dev/null | :", 0),
        (">/dev/full", 1),
    ],
)
def test_in_a_real_shell_as_well(redirection: str, code: int, tmp_path: Path) -> None:
    """Where the interpreter itself starts with such streams."""
    for arguments in ("--version", "snapshot list"):
        command = f"set -o pipefail; {' '.join(PRODTOP)} {arguments} {redirection}"
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == code
        assert done.stderr.count("\n") == (1 if code == 1 else 0)
