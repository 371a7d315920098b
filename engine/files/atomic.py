"""Writing files so that they are there whole or not at all, and that nothing else is lost.

A regular file is replaced by a rename; of a link, what it points to. A rename would put a file in
the place of a device or a FIFO as well: they are written through where the user named them, and
refused where a file of our own should be.
"""

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_TEMPORARY_PREFIX = ".prodtop-"
_COPIED_BYTES = 1 << 20


def write_file(path: Path, content: bytes, *, through: bool = False) -> None:
    """Write one file, as `write_files` does."""
    write_files({path: content}, through=through)


def write_files(contents: Mapping[Path, bytes], *, through: bool = False) -> None:
    """Write files, readable by their owner alone (0600), whatever their mode was.

    All of their bytes are on the disk before the first of them gets its name. `through`: a device,
    a FIFO (whose reader is waited for) and a standard stream are written into. Raises `OSError`,
    and leaves regular files as they were, where that fails: for a folder, a file without permission
    to write, a full disk.
    """
    with ExitStack() as staged:
        renames: list[tuple[Path, Path]] = []
        for path, content in contents.items():
            target = replaced_file(path)
            if target is not None:
                renames.append((staged.enter_context(staged_file(target.parent, content)), target))
            elif through:
                _write_through(path, [content])
            else:
                raise OSError(errno.EINVAL, "not a regular file", str(path))
        for temporary, target in renames:
            temporary.replace(target)
    for folder in {target.parent for _, target in renames}:
        sync_folder(folder)


def fill_file(path: Path, fill: Callable[[BinaryIO], None], *, through: bool = False) -> None:
    """As `write_file`, of what `fill` writes bit by bit: it never has to be in memory whole.

    Where it is written `through`, it is staged in a temporary file first: `fill` may seek.
    """
    target = replaced_file(path)
    if target is not None:
        with _filled_file(target.parent, fill) as temporary:
            temporary.replace(target)
        sync_folder(target.parent)
    elif through:
        with (
            _filled_file(Path(tempfile.gettempdir()), fill) as temporary,
            temporary.open("rb") as file,
        ):
            _write_through(path, iter(lambda: file.read(_COPIED_BYTES), b""))
    else:
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def require_writable(path: Path) -> None:
    """Raise the `OSError` with which writing `through` would end, as far as it is known before.

    For before long work: what is at `path` is not changed.
    """
    target = replaced_file(path)
    if target is not None:
        with staged_file(target.parent, b""):
            pass


def replaced_file(path: Path) -> Path | None:
    """The regular file that a write to `path` replaces or makes; `None`: it is written through.

    Raises `OSError` where it is neither.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return Path(os.path.realpath(path))
    if stat.S_ISDIR(status.st_mode):
        raise _error(errno.EISDIR, path)
    if stat.S_ISSOCK(status.st_mode):
        raise _error(errno.ENXIO, path)
    if not os.access(path, os.W_OK):
        raise _error(errno.EACCES, path)
    if not stat.S_ISREG(status.st_mode) or _own_stream(status) is not None:
        return None
    return Path(os.path.realpath(path))


@contextmanager
def staged_file(folder: Path, content: bytes) -> Iterator[Path]:
    """A synced file in `folder` that holds `content`, to be given its name; else it is removed."""

    def fill(file: BinaryIO) -> None:
        file.write(content)

    with _filled_file(folder, fill) as temporary:
        yield temporary


@contextmanager
def _filled_file(folder: Path, fill: Callable[[BinaryIO], None]) -> Iterator[Path]:
    """As `staged_file`, of what `fill` writes."""
    fd, name = tempfile.mkstemp(dir=folder, prefix=_TEMPORARY_PREFIX)
    temporary = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make new names last: they live in the folder. Not every folder can be synced."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _write_through(path: Path, parts: Iterable[bytes]) -> None:
    """Write into a device or a FIFO; waits for the FIFO's reader."""
    own = _own_stream(path.stat())
    fd = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC) if own is None else os.dup(own)
    try:
        for content in parts:
            while content:
                content = content[os.write(fd, content) :]
    finally:
        os.close(fd)


def _own_stream(status: os.stat_result) -> int | None:
    """Which of our own output streams a file is: its place in it is the stream's."""
    for fd in (1, 2):
        with suppress(OSError):
            if os.path.samestat(status, os.fstat(fd)):
                return fd
    return None


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))
