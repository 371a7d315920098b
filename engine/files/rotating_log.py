"""A log that several processes may append to, and that stays bounded while they do."""

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from .paths import log_dir, owned_folder

MAX_LOG_BYTES = 4 * 2**20
"""Of one file. With the one that was set aside before it, a log takes twice as much."""


def log_path(name: str) -> Path:
    """Where the log called `name` lies, whether it exists or not."""
    return log_dir() / f"{name}.log"


class RotatingLog:
    """Appends to `<name>.log` in the folder of logs, or to a path, readable by its owner alone
    (0600).

    Before it grows above `MAX_LOG_BYTES` it is set aside as `<name>.log.1`, in the place of the one
    before. Raises `OSError` where it cannot be opened.
    """

    def __init__(self, where: str | Path) -> None:
        if isinstance(where, str):
            owned_folder(log_dir())
            where = log_path(where)
        self.path = where
        self._fd = _open(self.path)

    def write(self, data: bytes) -> None:
        """Append; of more than a whole log, the end. Raises `OSError` where that fails."""
        data = data[-MAX_LOG_BYTES:]
        if not _is_at(self.path, self._fd):
            self._reopen()
        if os.fstat(self._fd).st_size + len(data) > MAX_LOG_BYTES:
            self._set_aside()
        while data:
            data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        """Let go of the file."""
        with suppress(OSError):
            os.close(self._fd)

    def _set_aside(self) -> None:
        """One process does it; the others see at their next write that the name is another file's.

        The lock is the file's, so that none of them sets aside what has just begun.
        """
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if _is_at(self.path, self._fd):
            self.path.replace(self.path.with_name(self.path.name + ".1"))
        # Closing lets go of the lock.
        self._reopen()

    def _reopen(self) -> None:
        fd = _open(self.path)
        os.close(self._fd)
        self._fd = fd


def _open(path: Path) -> int:
    """Open for appending. Raises `OSError`, for what is no regular file as well."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    fd = os.open(path, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{path} is not a regular file")
        # One that was made by other means.
        os.fchmod(fd, 0o600)
    except OSError:
        os.close(fd)
        raise
    return fd


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
