"""Appending whole lines to a small file that others may append to as well."""

import errno
import os
import stat
from pathlib import Path


def append_line(path: Path, line: bytes, most_bytes: int) -> None:
    """Append `line`, which has no end of line, to the regular file `path`, made (0600) if need be.

    It is on the disk afterwards. A last line that was cut off is ended first, and stays one of its
    own. Raises `OSError`: for a link or what is no regular file, for a file that would have more
    than `most_bytes`, for a full disk.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        size = status.st_size
        cut_off = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        content = (b"\n" if cut_off else b"") + line + b"\n"
        if size + len(content) > most_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        # In one piece: lines of two who write at once do not mix.
        if os.write(descriptor, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
