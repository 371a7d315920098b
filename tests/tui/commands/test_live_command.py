"""`prodtop` in a pseudo-terminal, over a process that plays the worker."""

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path

from child_scripts import write_child
from frame_samples import frame
from prodtop.engine.protocol import ENCODER, Fault

DEADLINE_S = 60.0
SIZE = (36, 120)
LEAVE_ALTERNATE_SCREEN = "\x1b[?1049l"
CONTROL_SEQUENCE = re.compile(r"\x1b\[[?<>=0-9;]*[A-Za-z]")

LAUNCH = """
import functools, sys
from prodtop.engine.client.local_engine import LocalEngine
from prodtop.engine.protocol.options import to_argument
from prodtop.tui.commands import live, main
command = [sys.executable, {worker!r}]
live.LocalEngine = functools.partial(
    LocalEngine, worker_command=lambda options: [*command, "--options", to_argument(options)]
)
sys.argv = ["prodtop", *{arguments!r}]
main.main()
"""


@dataclass(frozen=True)
class Ended:
    """What the terminal received, and how the command ended."""

    output: str
    exit_code: int

    @property
    def after_the_screen(self) -> list[str]:
        """The lines that the user is left with."""
        left = self.output.rpartition(LEAVE_ALTERNATE_SCREEN)[2]
        return CONTROL_SEQUENCE.sub("", left).replace("\r", "").splitlines()


def run_in_terminal(worker: Path, *arguments: str, quit_after: str | None = None) -> Ended:
    """Run `prodtop` with that worker; press `q` once the text `quit_after` was drawn."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, SIZE)
    code = LAUNCH.format(worker=str(worker), arguments=list(arguments))
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"},
    ) as process:
        os.close(theirs)
        output = b""
        deadline_s = time.monotonic() + DEADLINE_S
        while chunk := _read(ours, deadline_s):
            output += chunk
            if quit_after is not None and quit_after.encode() in output:
                os.write(ours, b"q")
                quit_after = None
        os.close(ours)
    return Ended(output.decode(errors="replace"), process.returncode)


def _read(fd: int, deadline_s: float) -> bytes:
    """The next bytes; none once the other side has closed."""
    ready, _, _ = select.select([fd], [], [], max(0.0, deadline_s - time.monotonic()))
    assert ready, "the command neither drew nor ended in time"
    try:
        return os.read(fd, 65536)
    except OSError:
        return b""


def test_q_leaves_the_terminal_as_it_was_and_the_session_in_a_few_lines(tmp_path: Path) -> None:
    worker = write_child(
        tmp_path / "worker.py",
        f"import msgspec\nframe = msgspec.msgpack.decode({ENCODER.encode(frame())!r}, type=Frame)\n"
        "channel.send(frame)\n"
        "while not channel.closed:\n"
        "    select.select([channel], [], [])\n"
        "    if Shutdown() in channel.receive(): break\n",
    )
    ended = run_in_terminal(worker, quit_after="tiny")
    assert ended.exit_code == 0
    assert LEAVE_ALTERNATE_SCREEN in ended.output
    first, *rest = ended.after_the_screen
    assert first.startswith("prodtop  00:")
    assert first.endswith("  tiny on a processor")
    assert [line.split()[0] for line in rest] == ["requests", "tokens", "best"]


def test_q_leaves_nothing_where_the_engine_never_served(tmp_path: Path) -> None:
    worker = write_child(
        tmp_path / "worker.py",
        "while not channel.closed:\n"
        "    select.select([channel], [], [])\n"
        "    if Shutdown() in channel.receive(): break\n",
    )
    ended = run_in_terminal(worker, quit_after="starting")
    assert ended.exit_code == 0
    assert ended.after_the_screen == []


def test_a_worker_that_gives_up_leaves_one_line_and_its_exit_code(tmp_path: Path) -> None:
    fault = Fault(message="unknown model 'x': choose from bundled", fatal=True, exit_code=2)
    worker = write_child(tmp_path / "worker.py", f"channel.send({fault!r})\nsys.exit(2)\n")
    ended = run_in_terminal(worker, "--model", "x")
    assert ended.exit_code == 2
    assert ended.after_the_screen == ["prodtop: unknown model 'x': choose from bundled"]


def test_an_unknown_theme_is_one_line_and_opens_no_screen(tmp_path: Path) -> None:
    worker = write_child(tmp_path / "worker.py", "select.select([channel], [], [])")
    ended = run_in_terminal(worker, "--theme", "plaid")
    assert ended.exit_code == 2
    (line,) = ended.output.replace("\r", "").splitlines()
    assert line.startswith("prodtop: unknown theme 'plaid': choose one of ")


def test_with_a_server_the_load_is_paused_and_both_are_told(tmp_path: Path) -> None:
    """The worker says what load it was started with: the server is a real one."""
    worker = write_child(
        tmp_path / "worker.py",
        f"import json, msgspec\n"
        f"frame = msgspec.msgpack.decode({ENCODER.encode(frame())!r}, type=Frame)\n"
        "load = msgspec.convert(json.loads(arguments.options)['load'], LoadSpec)\n"
        "channel.send(msgspec.structs.replace(frame, load=load))\n"
        "while not channel.closed:\n"
        "    select.select([channel], [], [])\n"
        "    if Shutdown() in channel.receive(): break\n",
    )
    ended = run_in_terminal(worker, "--serve", "--port", "0", quit_after="the server listens at")
    assert ended.exit_code == 0
    shown = CONTROL_SEQUENCE.sub("", ended.output)
    assert "0 streams" in shown
    assert "no load" in shown
