"""SQLite files of our own: made anew for their owner alone, or opened to be read and never trusted.

A file that is being written is locked (`flock`) by its writer, beside SQLite's own locks: others
see by it that the file is in use.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from .bounded import require_regular

LARGEST_VALUE_BYTES = 16 << 20
"""Of one text or blob that is read."""


class LockedFile:
    """A file that this process alone writes, as long as this lives.

    Closing any other descriptor of the file in this process would give SQLite's locks up: this one
    is closed after the connection.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def close(self) -> None:
        """Let go of it. May be called twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def create_locked(path: Path) -> LockedFile:
    """Make an empty file (0600) that is this process's to write.

    Raises `FileExistsError` where something has the name, and `OSError` where it cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return LockedFile(descriptor)


def is_written_now(path: Path) -> bool:
    """Whether some process holds the file as `create_locked` does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def connect_to_write(path: Path) -> sqlite3.Connection:
    """A connection for one thread at a time, that begins transactions when it is told to.

    Raises `sqlite3.Error`.
    """
    connection = sqlite3.connect(_uri(path, "rw"), uri=True, check_same_thread=False, timeout=1.0)
    connection.isolation_level = None
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that writes nothing and runs nothing that the file brings along. It sees the
    file as it is now, also while somebody goes on writing it.

    Raises `sqlite3.Error`, and as `require_regular` does.
    """
    require_regular(path)
    try:
        return _connected(_uri(path, "ro"))
    except sqlite3.OperationalError:
        # What its writer left behind needs a file beside it, which this folder may not take.
        return _connected(f"{_uri(path, 'ro')}&immutable=1")


def _connected(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=1.0)
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        for pragma in ("trusted_schema=OFF", "query_only=ON", "cell_size_check=ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.isolation_level = None
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def has_schema(connection: sqlite3.Connection, statements: Mapping[str, str]) -> bool:
    """Whether the file has the tables and indices that the statements make, and nothing else."""
    found = {
        str(name): str(sql)
        for name, sql in connection.execute("SELECT name, sql FROM sqlite_master LIMIT 100")
        if not str(name).startswith("sqlite_")
    }
    return found == dict(statements)


def remove_database(path: Path, *others: Path) -> None:
    """Remove the file, what SQLite keeps beside it, and others that belong to it. Raises
    `OSError`."""
    path.unlink()
    for beside in (*beside_database(path), *others):
        beside.unlink(missing_ok=True)


def beside_database(path: Path) -> Iterable[Path]:
    """What SQLite keeps beside a file while it is written."""
    return (path.with_name(path.name + end) for end in ("-wal", "-shm"))


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote(os.path.abspath(path))}?mode={mode}"  # noqa: PTH100 (links stay links)
