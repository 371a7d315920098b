"""What a child prints: read from a pipe, kept in its log, and its end in memory.

A pipe and not the log itself: the log then stays bounded however long the child runs, and what the
child said last is known where no log can be written, or the disk is full.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from .rotating_log import RotatingLog

_TAIL_BYTES = 4096
_READ_BYTES = 1 << 16
_MOST_READS = 256
"""At a time: a child that never stops printing does not keep us from the rest."""
_PIPE_BYTES = 1 << 20
"""What a child may print between two reads before it has to wait."""


class ChildLog:
    """The output of one run of a child: hand `inlet` to it, then `close_inlet`, and `drain` often.

    Raises `OSError` where there are no more file descriptors.
    """

    def __init__(self, name: str) -> None:
        self._outlet, self.inlet = os.pipe()
        os.set_blocking(self._outlet, False)
        with suppress(OSError, AttributeError):
            fcntl.fcntl(self.inlet, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._tail = b""
        self._log: RotatingLog | None = None
        with suppress(OSError):
            self._log = RotatingLog(name)
        self._written = self._log is not None

    @property
    def path(self) -> Path | None:
        """The log; `None` where this run's output is not in it, since it could not be written."""
        return self._log.path if self._log is not None and self._written else None

    def fileno(self) -> int:
        """The end that we read, for `select`."""
        return self._outlet

    def close_inlet(self) -> None:
        """The child has its own copy of it by now."""
        if self.inlet >= 0:
            os.close(self.inlet)
            self.inlet = -1

    def drain(self) -> bool:
        """Take in what was printed, without waiting; `False` once nobody can print any more."""
        for _ in range(_MOST_READS):
            try:
                data = os.read(self._outlet, _READ_BYTES)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._take(data)
        return True

    def last_line(self) -> str:
        """The last line that this run printed; empty where it printed none."""
        self.drain()
        return last_line(self._tail)

    def close(self) -> None:
        """Take in the rest, and let go of all."""
        self.close_inlet()
        self.drain()
        os.close(self._outlet)
        if self._log is not None:
            self._log.close()

    def _take(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-_TAIL_BYTES:]
        if self._log is None:
            return
        try:
            self._log.write(data)
        except OSError:
            # What comes later may still find room.
            self._written = False


def last_line(printed: bytes) -> str:
    """The last line that says something, of what a child printed."""
    lines = printed.decode(errors="replace").splitlines()
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
