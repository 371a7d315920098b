"""Where a child's output goes: its log file, or memory on a machine that lets us write none."""

import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from ..files.paths import log_file
from .cause_of_death import last_line

_TAIL_BYTES = 4096
MEMORY_BYTES = 1 << 20
"""The most of a log that is kept in memory: beyond it the oldest half is forgotten."""


class ChildLog:
    """The output of one run of a child. `path` is `None` where it is only kept until the end."""

    def __init__(self, name: str) -> None:
        self.path: Path | None = None
        self.file: IO[bytes]
        try:
            self.path = log_file(name)
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self.file = os.fdopen(fd, "ab")
        except OSError:
            self.path, self.file = None, _unnamed_file()
        self._begin = self._size()

    def last_line(self) -> str:
        """The last line that this run printed; empty where it printed none."""
        with suppress(OSError):
            begin = max(self._begin, self._size() - _TAIL_BYTES)
            return last_line(os.pread(self.file.fileno(), _TAIL_BYTES, begin))
        return ""

    def trim(self) -> None:
        """Forget the older part of what is in memory, once it is too much. A file is left alone.

        The child appends, so that it goes on at the new end; what it prints in this very moment may
        be lost.
        """
        if self.path is not None:
            return
        with suppress(OSError):
            size = self._size()
            if size <= MEMORY_BYTES:
                return
            fd, keep = self.file.fileno(), MEMORY_BYTES // 2
            newest = os.pread(fd, keep, size - keep)
            os.ftruncate(fd, 0)
            os.write(fd, newest)

    def close(self) -> None:
        """Let go of it; what is in memory is lost."""
        with suppress(OSError):
            self.file.close()

    def _size(self) -> int:
        return os.fstat(self.file.fileno()).st_size


def _unnamed_file() -> IO[bytes]:
    """Opened for appending, which a child inherits: where the file was cut, it goes on there."""
    if hasattr(os, "memfd_create"):
        with suppress(OSError):
            return _appending(os.fdopen(os.memfd_create("prodtop-log"), "w+b", buffering=0))
    try:
        return _appending(tempfile.TemporaryFile(buffering=0))
    except OSError:
        return Path(os.devnull).open("w+b")


def _appending(file: IO[bytes]) -> IO[bytes]:
    flags = fcntl.fcntl(file.fileno(), fcntl.F_GETFL)
    fcntl.fcntl(file.fileno(), fcntl.F_SETFL, flags | os.O_APPEND)
    return file
