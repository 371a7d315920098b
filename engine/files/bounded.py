"""Reading a file that somebody else wrote: a regular one alone, and no more of it than a bound."""

import os
import stat
from pathlib import Path

from ..protocol.errors import CheckpointError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def require_regular(path: Path, limit: int | None = None) -> None:
    """Refuse what is no regular file (links are followed), or has more than `limit` bytes.

    Raises:
        FileNotFoundError: nothing is there.
        CheckpointError: it is a folder, a device, a FIFO or a socket, too large, or out of reach.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise
    # Beside what the system refuses: a name with a zero byte.
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    _check(path, status, limit)


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of the regular file `path`, which may have `limit` of them at most.

    Raises:
        FileNotFoundError: nothing is there.
        CheckpointError: as `require_regular` does, and where reading fails.
    """
    require_regular(path, limit)
    # Files of /proc state no size.
    data = _read(path, limit + 1, limit)
    if len(data) > limit:
        raise _too_large(path, limit)
    return data


def read_beginning(path: Path, most: int) -> bytes:
    """The first `most` bytes of the regular file `path`, or all where it has fewer.

    Raises:
        FileNotFoundError: nothing is there.
        CheckpointError: as `require_regular` does, and where reading fails.
    """
    require_regular(path)
    return _read(path, most, None)


def _read(path: Path, most: int, limit: int | None) -> bytes:
    try:
        # Not blocking: it may have become a FIFO since.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            _check(path, os.fstat(descriptor), limit)
            return file.read(most)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error


def _check(path: Path, status: os.stat_result, limit: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise CheckpointError(f"{path}: is {kind} and not a regular file")
    if limit is not None and status.st_size > limit:
        raise _too_large(path, limit)


def _too_large(path: Path, limit: int) -> CheckpointError:
    size = f"{limit / 2**20:.0f} MiB" if limit >= 2**20 else f"{limit / 2**10:.0f} KiB"
    return CheckpointError(f"{path}: is larger than {size}, which no such file is")
