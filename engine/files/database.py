"""Opening an SQLite database that holds private text: its owner's alone, and safe to kill."""

import os
import sqlite3
import stat
from pathlib import Path

from .bounded import require_regular
from .paths import owned_folder

_BUSY_S = 10.0
"""How long a write waits for another process's."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open or create the database `path`, mode 0600, in write-ahead mode, without a transaction.

    What was committed outlives the process's and the machine's sudden end. What is deleted is
    overwritten. SQLite gives its side files (`-wal`, `-shm`) the mode of the database. Threads may
    share the connection if they take turns.

    Raises:
        CheckpointError: `path` is a folder, a device, a FIFO or a socket.
        OSError: it cannot be created, or its mode cannot be set.
        sqlite3.Error: it is no database.
    """
    owned_folder(path.parent)
    descriptor = os.open(
        path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
    require_regular(path)
    connection = sqlite3.connect(
        path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
