"""The terminal is the user's again whichever way the screen ends, in a terminal of the test's."""

import fcntl
import os
import pty
import random
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import psutil
import pytest

DEADLINE_S = 60.0
CHILD = Path(__file__).with_name("screen_child.py")
UP = b"\x1b[?2004h"
SWITCHED_OFF = [b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1003l", b"\x1b[?2004l", b"\x1b[?1004l"]


class Terminal:
    """`prodtop` in a pseudo terminal that is read all the time."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(100, 30)
        self.before = termios.tcgetattr(self.slave)
        self.output = b""
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", **environment},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        self.until(lambda: UP in self.output)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        os.close(self.slave)
        self._reader.join(DEADLINE_S)

    def _read(self) -> None:
        try:
            while data := os.read(self.master, 1 << 16):
                self.output += data
        except OSError:
            pass  # The last end of the slave was closed.

    def until(self, done: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while not done():
            assert time.monotonic() < deadline_s, self.output[-2000:]
            time.sleep(0.01)

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def type(self, data: bytes) -> None:
        os.write(self.master, data)

    def ends_with(self, code: int) -> bytes:
        """Wait for the end, and check the terminal; what was printed after the screen."""
        assert self.process.wait(DEADLINE_S) == code, self.output[-2000:]
        assert termios.tcgetattr(self.slave) == self.before
        os.write(self.slave, b"<end>")
        self.until(lambda: b"<end>" in self.output)
        for off in SWITCHED_OFF:
            on = off.replace(b"l", b"h") if off.endswith(b"l") else b"\x1b[?25l"
            assert self.output.rindex(off) > self.output.rfind(on)
        assert b"Traceback" not in self.output
        return self.output[self.output.rindex(b"\x1b[0m") + 4 :].removesuffix(b"<end>")

    def stops(self) -> None:
        process = psutil.Process(self.process.pid)
        self.until(lambda: process.status() == psutil.STATUS_STOPPED)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with Terminal(tmp_path) as terminal:
        yield terminal


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT"])
def test_a_signal_gives_the_terminal_back_with_one_line(terminal: Terminal, name: str) -> None:
    number = signal.Signals[name]
    terminal.process.send_signal(number)
    assert terminal.ends_with(128 + number).strip() == f"prodtop: ended by {name}".encode()


def test_quitting_leaves_no_line(terminal: Terminal) -> None:
    terminal.type(b"q")
    assert terminal.ends_with(0) == b""


def test_a_defect_is_one_line(tmp_path: Path) -> None:
    with Terminal(tmp_path, CRASH="1") as terminal:
        line = terminal.ends_with(1).strip()
    assert line == b"prodtop: KeyError: 'a defect' (a defect: --debug shows where)"


def test_an_app_that_does_not_leave_is_ended(tmp_path: Path) -> None:
    with Terminal(tmp_path, HANG="1") as terminal:
        terminal.process.terminate()
        assert terminal.ends_with(143).strip() == b"prodtop: ended by SIGTERM"


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP, None])
def test_stopped_and_continued_it_goes_on_and_quits(
    terminal: Terminal, number: signal.Signals | None
) -> None:
    for _ in range(2):
        seen = len(terminal.output)
        if number is None:
            terminal.type(b"\x1a")
        else:
            terminal.process.send_signal(number)
        terminal.stops()
        if number is not signal.SIGSTOP:
            assert termios.tcgetattr(terminal.slave) == terminal.before
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until(lambda seen=seen: UP in terminal.output[seen:])  # type: ignore[misc]
    terminal.type(b"q")
    assert terminal.ends_with(0) == b""


def test_a_terminal_that_is_gone_ends_it(tmp_path: Path) -> None:
    with Terminal(tmp_path) as terminal:
        # Not its controlling terminal: no SIGHUP comes.
        os.close(terminal.slave)
        master, terminal.master = terminal.master, os.open(os.devnull, os.O_RDWR)
        terminal.slave = os.dup(terminal.master)
        os.close(master)
        assert terminal.process.wait(DEADLINE_S) != 0


def test_page_down_in_a_palette_that_was_just_opened(terminal: Terminal) -> None:
    terminal.type(b"\x10" + b"\x1b[6~" * 8 + b"\x1b[5~" * 3)
    terminal.type(b"\x1b")
    terminal.process.terminate()
    terminal.ends_with(143)


ESCAPED = (b"[A", b"[B", b"[C", b"[D", b"[H", b"[F", b"[5~", b"[6~", b"[Z", b"[1;2C", b"[<0;9;9M")
KEYS = [
    # Not `q`, which quits, and not `c`, which has the Planner measure the machine.
    *(bytes([code]) for code in range(0x20, 0x7F) if chr(code) not in "qc"),
    *(b"\x1b" + code for code in ESCAPED),
    *(b"\r", b"\t", b"\x1b", b"\x10", b"\x7f", b"\x10\x1b[6~\x1b[6~", b"\xff\xfe", b"\xc3"),
]
STEPS = 1000


def test_a_monkey_at_the_keyboard_never_sees_a_traceback(tmp_path: Path) -> None:
    dice = random.Random(10)
    terminal = Terminal(tmp_path).__enter__()
    for step in range(STEPS):
        if terminal.process.poll() is not None:
            # The palette has a command that quits.
            terminal.ends_with(0)
            terminal.__exit__()
            terminal = Terminal(tmp_path).__enter__()
        kind = dice.random()
        if kind < 0.9:
            terminal.type(dice.choice(KEYS))
        elif kind < 0.95:
            terminal.resize(dice.randint(1, 250), dice.randint(1, 80))
            terminal.process.send_signal(signal.SIGWINCH)
        elif kind < 0.98:
            terminal.type(b"\x1b[200~" + dice.randbytes(dice.randint(0, 200)) + b"\x1b[201~")
        else:
            terminal.process.send_signal(signal.SIGCONT)
        if step % 10 == 0:
            seen = len(terminal.output)
            pause_s = time.monotonic() + 0.05
            while len(terminal.output) == seen and time.monotonic() < pause_s:
                time.sleep(0.005)
    with terminal:
        terminal.process.terminate()
        terminal.ends_with(143)
