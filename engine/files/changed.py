"""Reading a file again only when it has changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

Content = TypeVar("Content")


class FileStamp(NamedTuple):
    """What tells a file from what lay there before: one of another inode, time of change or size
    has to be read anew."""

    inode: int
    changed_ns: int
    size_bytes: int


def file_stamp(path: Path) -> FileStamp | None:
    """The stamp of what lies at `path`, links followed; `None` where nothing can be looked at."""
    try:
        status = path.stat()
    # Beside what the system refuses: a name with a zero byte.
    except (OSError, ValueError):
        return None
    return FileStamp(status.st_ino, status.st_mtime_ns, status.st_size)


class ReadWhenChanged(Generic[Content]):
    """What was read of a file last, kept until another file is asked for, or it has changed."""

    def __init__(self) -> None:
        self._read: tuple[Path, FileStamp | None, Content] | None = None

    def look(self, path: Path, read: Callable[[], Content]) -> Content:
        """What `read` makes of `path`, called where that may have changed; what it raises is
        passed on, and it is called again at the next look."""
        # Before it is read: a change meanwhile is seen at the next look.
        stamp = file_stamp(path)
        if self._read is None or self._read[:2] != (path, stamp):
            self._read = None
            self._read = path, stamp, read()
        return self._read[2]
