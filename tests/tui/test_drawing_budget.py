"""What the screen costs: bytes and CPU time of the real app in a pseudo-terminal.

The budgets are those of the design; the assertions allow generous multiples of them, since the
machine may be busy. The measured figures are printed (`pytest -s`).
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

HERE = Path(__file__).parent
COLUMNS, ROWS = 160, 48
TICKS_PER_S = 4

LIVE_BYTES_PER_S = 20_000
LIVE_MS_PER_TICK = 15.0
FIRST_FRAME_S = 0.5
IDLE_CPU = 0.01
GENEROUS = 4
"""How many times its budget a figure may take here."""


@dataclass(slots=True)
class Terminal:
    """The other end of the app's terminal."""

    fd: int
    process: psutil.Process
    started_s: float

    def read_for(self, seconds: float) -> bytes:
        """Everything that is written within some seconds."""
        end_s = time.monotonic() + seconds
        written = b""
        while (left_s := end_s - time.monotonic()) > 0:
            ready, _, _ = select.select([self.fd], [], [], left_s)
            if ready:
                written += os.read(self.fd, 1 << 16)
        return written

    def read_until(self, wanted: bytes, deadline_s: float = 60.0) -> None:
        """Read until some text has been written."""
        end_s = time.monotonic() + deadline_s
        written = b""
        while wanted not in written:
            left_s = end_s - time.monotonic()
            assert left_s > 0, f"{wanted!r} was never written"
            ready, _, _ = select.select([self.fd], [], [], left_s)
            if ready:
                written += os.read(self.fd, 1 << 16)

    def read_until_quiet(self, quiet_s: float = 1.0, deadline_s: float = 60.0) -> None:
        """Read until nothing has been written for a while."""
        end_s = time.monotonic() + deadline_s
        while self.read_for(quiet_s):
            assert time.monotonic() < end_s, "the screen never came to rest"

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system


@contextmanager
def running(mode: str) -> Iterator[Terminal]:
    """The app in a pseudo-terminal of 160×48."""
    started_s = time.monotonic()
    pid, fd = pty.fork()
    if pid == 0:
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
        }
        environment.pop("NO_COLOR", None)
        os.execve(
            sys.executable, [sys.executable, str(HERE / "budget_child.py"), mode], environment
        )
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = psutil.Process(pid)
    try:
        yield Terminal(fd, process, started_s)
    finally:
        process.kill()
        os.waitpid(pid, 0)
        os.close(fd)


def report(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n  {line}")


def test_a_live_screen_stays_within_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    span_s = 6.0
    with running("live") as terminal:
        terminal.read_until(b"Throughput")
        terminal.read_for(3.0)
        cpu_before_s = terminal.cpu_s()
        written = terminal.read_for(span_s)
        cpu_s = terminal.cpu_s() - cpu_before_s
        # The table of requests alone, in all the room.
        os.write(terminal.fd, b"R")
        terminal.read_for(2.0)
        table_bytes_per_s = len(terminal.read_for(span_s)) / span_s
    bytes_per_s = len(written) / span_s
    ms_per_tick = cpu_s * 1000 / (span_s * TICKS_PER_S)
    report(
        f"live at 4 Hz, 160x48: {bytes_per_s / 1000:.1f} kB/s, {ms_per_tick:.1f} ms a tick", capsys
    )
    report(f"the whole table of requests: {table_bytes_per_s / 1000:.1f} kB/s", capsys)
    assert written, "a live screen shows something new"
    assert table_bytes_per_s < GENEROUS * LIVE_BYTES_PER_S
    assert bytes_per_s < GENEROUS * LIVE_BYTES_PER_S
    assert ms_per_tick < GENEROUS * LIVE_MS_PER_TICK


def test_an_idle_screen_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    span_s = 4.0
    with running("idle") as terminal:
        terminal.read_until(b"Throughput")
        first_frame_s = time.monotonic() - terminal.started_s
        terminal.read_until_quiet()
        cpu_before_s = terminal.cpu_s()
        written = terminal.read_for(span_s)
        cpu = (terminal.cpu_s() - cpu_before_s) / span_s
    report(
        f"first frame after {first_frame_s:.2f} s; idle: {len(written)} bytes, {cpu:.1%} of a core",
        capsys,
    )
    assert written == b""
    assert cpu < GENEROUS * IDLE_CPU
    assert first_frame_s < 10 * GENEROUS * FIRST_FRAME_S
