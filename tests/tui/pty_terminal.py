"""A pseudo terminal with the screen in it, read all the time as a terminal reads."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import psutil

DEADLINE_S = 60.0
CHILD = Path(__file__).with_name("screen_child.py")
UP = b"\x1b[?2004h"
SWITCHED_OFF = [b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?1003l", b"\x1b[?2004l", b"\x1b[?1004l"]


def _without_size(environment: Mapping[str, str]) -> dict[str, str]:
    """What another test's readline may have left of its own terminal is taken out."""
    return {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}


class Terminal:
    """`prodtop` over a scripted engine, by the script `child`."""

    def __init__(self, folder: Path, child: Path = CHILD, **environment: str) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(100, 30)
        self.before = termios.tcgetattr(self.slave)
        self.output = b""
        self.process = subprocess.Popen(
            [sys.executable, str(child)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            cwd=folder,
            env={**_without_size(os.environ), "TERM": "xterm-256color", **environment},
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
