"""A file that somebody else wrote, as memory: for one too large to be read whole."""

import mmap
import os
from pathlib import Path

from ..protocol.errors import CheckpointError
from .bounded import require_regular


def map_file(path: Path) -> mmap.mmap:
    """The bytes of the regular file `path`, read when they are looked at; never written.

    The mapping ends with the last view of it. Somebody who shortens the file meanwhile ends the
    process that looks at what is gone, as with any mapped file.

    Raises:
        FileNotFoundError: nothing is there.
        CheckpointError: it is no regular file, is empty or out of reach.
    """
    require_regular(path)
    try:
        # Not blocking: it may have become a FIFO since.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    # A ValueError for an empty file.
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
