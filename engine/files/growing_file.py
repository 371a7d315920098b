"""A new file that grows by whole lines while somebody may read it already."""

import errno
import os
from contextlib import suppress
from itertools import count
from pathlib import Path

MOST_NAMES = 1000
"""Names that are tried: who has that many beside each other means something else."""


class GrowingFile:
    """Makes a file that nobody has yet, for its owner alone (0600), and appends to it.

    Its name is `path`, or `<stem>-2<suffix>` and so on: the first that is free, taken exclusively.
    Raises `OSError` where none can be made, for a folder that is missing as well.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._fd = _create(path)
        self.bytes = 0

    def append(self, lines: bytes) -> None:
        """Append whole lines, or nothing: what a full disk took of them is cut off again. Raises
        `OSError`."""
        left = memoryview(lines)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, self.bytes)
            raise
        self.bytes += len(lines)

    def close(self) -> None:
        """Let go of the file, once its bytes are on the disk."""
        with suppress(OSError):
            os.fsync(self._fd)
        with suppress(OSError):
            os.close(self._fd)


def _create(path: Path) -> tuple[Path, int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    for number in count(1):
        name = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            return name, os.open(name, flags, 0o600)
        except FileExistsError:
            if number == MOST_NAMES:
                raise
    raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
