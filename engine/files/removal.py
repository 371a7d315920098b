"""Removing files for good, or into a trash from which they come back."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .new_names import place_all
from .paths import owned_folder

_PREFIX = ".trash-"


def remove_files(first: Path, *beside: Path) -> None:
    """Remove a file, and what lies beside it if it is there. Raises `OSError`."""
    first.unlink()
    for path in beside:
        path.unlink(missing_ok=True)


class Trash:
    """Holds what was removed from folders until it is emptied, or this process ends.

    Each folder gets a hidden one within it: a file goes there by a rename, and back by one. The
    hidden folder is locked (`flock`) by its process: what a killed one left is emptied later.
    """

    def __init__(self) -> None:
        self._folders: dict[Path, tuple[Path, int]] = {}
        self._removed: list[list[tuple[Path, Path]]] = []
        self._taken = 0

    def __len__(self) -> int:
        return len(self._removed)

    def take(self, paths: Sequence[Path]) -> None:
        """Remove files that belong together, as far as they are there. Raises `OSError`, and
        leaves them all in their places, where that fails."""
        moved: list[tuple[Path, Path]] = []
        try:
            for path in paths:
                if os.path.lexists(path):
                    # No name of its own: a long one would not fit with anything before it.
                    hidden = self._folder_of(path.parent) / f"{self._taken}-{len(moved)}"
                    path.rename(hidden)
                    moved.append((path, hidden))
        except OSError:
            for path, hidden in reversed(moved):
                hidden.rename(path)
            raise
        self._removed.append(moved)
        self._taken += 1

    def restore(self) -> list[Path]:
        """Put back what was removed last; returns where it is. Raises `OSError` where something
        has one of their names by now: then all of it stays here."""
        moved = self._removed[-1]
        if not place_all(dict(moved)):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(moved[0][0]))
        self._removed.pop()
        for _, hidden in moved:
            hidden.unlink(missing_ok=True)
        return [path for path, _ in moved]

    def empty(self) -> None:
        """Remove for good what is in it."""
        for folder, descriptor in self._folders.values():
            _remove(folder)
            os.close(descriptor)
        self._folders.clear()
        self._removed.clear()

    def _folder_of(self, parent: Path) -> Path:
        if parent not in self._folders:
            empty_abandoned(parent)
            folder = Path(tempfile.mkdtemp(dir=owned_folder(parent), prefix=_PREFIX))
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._folders[parent] = folder, descriptor
        return self._folders[parent][0]


def empty_abandoned(parent: Path) -> None:
    """Remove for good what processes that no longer run left in their trash. What cannot be
    removed stays."""
    with suppress(OSError):
        for folder in parent.glob(f"{_PREFIX}*"):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            else:
                _remove(folder)
            finally:
                os.close(descriptor)


def _remove(folder: Path) -> None:
    with suppress(OSError):
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        folder.rmdir()
