"""Where prodtop keeps its files: the XDG folders, created on demand for their owner alone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

APPLICATION = "prodtop"


def config_dir() -> Path:
    """Holds `config.toml` and `themes/`. Not created: prodtop reads it and never writes there."""
    return Path(platformdirs.user_config_dir(APPLICATION))


def data_dir() -> Path:
    """Holds what the user keeps: snapshots and recordings."""
    return Path(platformdirs.user_data_dir(APPLICATION))


def snapshots_dir() -> Path:
    """The folder of snapshots; `owned_folder` creates it."""
    return data_dir() / "snapshots"


def recordings_dir() -> Path:
    """The folder of recordings; `owned_folder` creates it."""
    return data_dir() / "recordings"


def log_dir() -> Path:
    """Holds what the child processes print."""
    return Path(platformdirs.user_log_dir(APPLICATION))


def owned_folder(folder: Path) -> Path:
    """Create `folder` with mode 0700 where it is missing, and return it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes of prodtop from changing a file of `folder` meanwhile: for what is read,
    changed and written back. Waits for them; goes on without where a file system knows no locks.

    Raises `OSError` where there is no such folder.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
