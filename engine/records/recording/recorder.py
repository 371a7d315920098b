"""Recording beside the screen: a thread of its own writes, so that no poll waits for the disk."""

import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from ...files.paths import owned_folder, recordings_dir
from ...protocol.errors import BadInputError, ProdtopError
from ...text.cleaning import clean
from .database import SUFFIX
from .retention import KEEP_ALL, Retention
from .store import Entry, Store

COMMIT_EVERY_S = 0.5
"""Twice in the second that may be lost at most: a disk takes its time as well."""
MOST_WAITING = 4_800
"""Polls that wait for a disk which is too slow: 20 minutes at four a second."""
CLOSE_WITHIN_S = 10.0


class Recorder:
    """Records what it is given into a new file. Its calls never wait but `close`."""

    def __init__(self, store: Store, path: Path) -> None:
        self.path = path
        self._store = store
        self._waiting: queue.Queue[Entry | None] = queue.Queue(MOST_WAITING)
        self._failure: str | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._write_all, name="recorder", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> str | None:
        """Why nothing more is recorded, once that is so."""
        if self._failure is None and not self._closing and not self._thread.is_alive():
            return "its thread has ended by a defect"
        return self._failure

    def add(self, entry: Entry) -> None:
        """Record a poll, or a command."""
        if self._failure is not None:
            return
        try:
            self._waiting.put_nowait(entry)
        except queue.Full:
            self._failure = "the disk is too slow for it"

    def finish(self) -> None:
        """Have what is left written and the file finished. Nothing can be added after."""
        self._closing = True
        with suppress(queue.Full):
            self._waiting.put_nowait(None)

    def close(self) -> None:
        """Finish, and wait for the disk, but not for ever."""
        if not self._closing:
            self.finish()
        self._thread.join(CLOSE_WITHIN_S)

    def _write_all(self) -> None:
        try:
            while self._write_some():
                pass
            self._store.close()
        except (sqlite3.Error, OSError) as error:
            self._failure = failure_text(error)
            # What failed is half in memory: to write more of it would be to write nonsense.
            with suppress(sqlite3.Error):
                self._store.abandon()

    def _write_some(self) -> bool:
        """Write what comes until it is time to commit; whether more may come."""
        entries: list[Entry] = []
        more = True
        try:
            entry = self._waiting.get(timeout=COMMIT_EVERY_S)
        except queue.Empty:
            return not self._closing
        commit_at_s = time.monotonic() + COMMIT_EVERY_S
        while entry is not None:
            entries.append(entry)
            try:
                entry = self._waiting.get(timeout=max(0.0, commit_at_s - time.monotonic()))
            except queue.Empty:
                break
        else:
            more = False
        if entries:
            self._store.write(entries)
        return more


def failure_text(error: sqlite3.Error | OSError) -> str:
    """What the disk said, in words."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return "the disk is full"
    if name.startswith("SQLITE_READONLY"):
        return "the file system is read-only"
    if name.startswith("SQLITE_IOERR"):
        return f"the disk does not take it ({name})"
    return str(error)


def begin_recording(
    path: Path | None = None,
    *,
    facts: dict[str, str],
    wall_s: float,
    retention: Retention = KEEP_ALL,
    store: Callable[[Path, dict[str, str], Retention], Store] = Store,
) -> Recorder:
    """Begin a recording in a file that nobody has: at `path`, or in the folder of recordings.

    Raises `BadInputError` where there is something at `path`, and `ProdtopError` where no file can
    be written.
    """
    where = recordings_dir() if path is None else path
    try:
        if path is None:
            folder = owned_folder(where)
            return _with_new_name(folder, wall_s, lambda name: store(name, facts, retention))
        return Recorder(store(path, facts, retention), path)
    except (OSError, sqlite3.Error) as error:
        if path is not None and isinstance(error, FileExistsError):
            raise BadInputError(
                f"there is a file {clean(str(path))} already: a recording is never written over one"
            ) from None
        raise ProdtopError(
            f"cannot record to {clean(str(where))}: {failure_text(error)}"
        ) from error


def _with_new_name(folder: Path, wall_s: float, make: Callable[[Path], Store]) -> Recorder:
    """`<stamp>.ptop`, or `<stamp>-2.ptop` and so on: the first of which no file exists."""
    stamp = f"{datetime.fromtimestamp(wall_s, UTC).astimezone():%Y%m%d-%H%M%S}"
    for number in count(1):
        path = folder / f"{stamp}{'' if number == 1 else f'-{number}'}{SUFFIX}"
        try:
            return Recorder(make(path), path)
        except FileExistsError:
            continue
    raise AssertionError("numbers have no end")
