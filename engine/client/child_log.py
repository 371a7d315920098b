"""Where a child's output goes: its log file, or memory on a machine that lets us write none."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from ..files.paths import log_file
from .cause_of_death import last_line

_TAIL_BYTES = 4096


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

    def close(self) -> None:
        """Let go of it; what is in memory is lost."""
        with suppress(OSError):
            self.file.close()

    def _size(self) -> int:
        return os.fstat(self.file.fileno()).st_size


def _unnamed_file() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        with suppress(OSError):
            # `w+`: a child appends by sharing our offset.
            return os.fdopen(os.memfd_create("prodtop-log"), "w+b")
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return Path(os.devnull).open("w+b")
