"""Saving files under names that nobody has yet, whoever else saves at the same time."""

import errno
import os
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from .atomic import staged_file, sync_folder

_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What `link` says on file systems that have none (FAT, some network shares)."""


def save_new(folder: Path, stem: str, contents: Mapping[str, bytes]) -> str:
    """Save one file for each suffix in `contents`, all under one stem: all of them or none.

    The stem is `stem`, or `<stem>-2` and so on: the first of which no file exists. Files come into
    being whole, in the order of `contents`, readable by their owner alone; no file that exists is
    touched. Returns the stem. Raises `OSError` where they cannot be written.
    """
    with ExitStack() as stages:
        staged = {
            suffix: stages.enter_context(staged_file(folder, content))
            for suffix, content in contents.items()
        }
        for number in count(1):
            name = stem if number == 1 else f"{stem}-{number}"
            if place_all({folder / f"{name}{suffix}": at for suffix, at in staged.items()}):
                break
    sync_folder(folder)
    return name


def place_all(staged: Mapping[Path, Path]) -> bool:
    """Give staged files their names; `False`, and none of them, where one name is taken."""
    if any(os.path.lexists(target) for target in staged):
        return False
    placed: list[Path] = []
    try:
        for target, temporary in staged.items():
            _place(temporary, target)
            placed.append(target)
    except BaseException as error:
        for target in placed:
            target.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            return False
        raise
    return True


def _place(temporary: Path, target: Path) -> None:
    """Give a file another name, which must be free. Raises `FileExistsError` where it is not."""
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _place_without_links(temporary, target)


def _place_without_links(temporary: Path, target: Path) -> None:
    """Copy into a file that only one process can create: nobody else's name, but not at once."""
    content = temporary.read_bytes()
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
