"""Children end with their parent whatever they are doing: none of them need look up from it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from child_scripts import DEADLINE_S
from prodtop.engine.protocol.options import child_command, module_command

PARENT = """
import os, subprocess, sys, time
from prodtop.engine.protocol import REPORT_DECODER
from prodtop.engine.protocol.channel import channel_pair
channel, theirs = channel_pair(REPORT_DECODER)
child = subprocess.Popen([*sys.argv[1:], "--channel-fd", str(theirs.fileno())],
    pass_fds=[theirs.fileno()], stdin=subprocess.PIPE, start_new_session=True)
theirs.close()
print(child.pid, flush=True)
time.sleep(600)
"""

BUSY = {
    "a blocking read": "os.read(os.pipe()[0], 1)",
    "a loop that never looks up": "while True: pass",
    "native code that keeps the interpreter's lock": "ctypes.PyDLL(None).sleep(600)",
    "signals ignored": "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 3, 15)]; time.sleep(600)",
}

CHILD = """
import ctypes, os, signal, sys, time
from prodtop.engine.protocol.child_process import channel_fd_of, die_with_parent
die_with_parent(channel_fd_of(sys.argv))
print("busy", file=sys.stderr, flush=True)
{body}
"""


def wait_until_gone(process: psutil.Process) -> None:
    """A process that has ended and waits for its parent is gone as well."""
    deadline_s = time.monotonic() + DEADLINE_S
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline_s, f"{process} lives on"
        time.sleep(0.01)


def kill_parent_of(command: list[str], said: str | None = None) -> psutil.Process:
    """Start a parent with this child, and kill the parent once the child has said so; the child."""
    arguments = [sys.executable, "-c", PARENT, *command]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        child = psutil.Process(int(parent.stdout.readline()))
        if said is not None:
            assert parent.stderr.readline().decode().strip() == said
        os.kill(parent.pid, signal.SIGKILL)
    return child


@pytest.mark.parametrize("phase", BUSY)
def test_a_child_ends_with_its_parent_in_the_middle_of(phase: str) -> None:
    body = CHILD.format(body=BUSY[phase])
    wait_until_gone(kill_parent_of([sys.executable, "-c", body], "busy"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_worker_that_reads_what_never_comes_ends_with_its_parent(tmp_path: Path) -> None:
    """From its first moment on: while torch is imported, and in a read that blocks."""
    os.mkfifo(tmp_path / "config.json")
    options = f'{{"model": "{tmp_path}"}}'
    wait_until_gone(
        kill_parent_of([*module_command("prodtop.engine.worker"), "--options", options])
    )


@pytest.mark.parametrize("module", ["prodtop.engine.probes", "prodtop.tui.planner.searcher"])
def test_the_other_children_end_with_their_parent(module: str) -> None:
    wait_until_gone(kill_parent_of(module_command(module)))


def test_a_hang_up_alone_ends_a_child_that_does_not_look() -> None:
    """Where the parent lives on without the channel, or the kernel knows no death signal."""
    endless = CHILD.format(body="while True: pass")
    code = (
        "import socket, subprocess, sys\n"
        "ours, theirs = socket.socketpair()\n"
        f"child = subprocess.Popen([sys.executable, '-c', {endless!r},"
        " '--channel-fd', str(theirs.fileno())], pass_fds=[theirs.fileno()])\n"
        "theirs.close(); ours.close()\n"
        "sys.exit(child.wait())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=DEADLINE_S, check=False)
    assert done.returncode == 0


def test_a_child_whose_output_nobody_reads_any_more_ends() -> None:
    """Its parent may have ended before the child was there to ask for its end."""
    endless = child_command("timeit", ["-n", "1", "-r", "1", "import time; time.sleep(600)"])
    with subprocess.Popen(endless, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.close()
        assert child.wait(DEADLINE_S) == 0
