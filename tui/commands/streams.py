"""Standard streams that may be closed, full, or have nobody who reads them.

Output that nobody reads ends the command quietly, with the exit code that a shell gives to one that
`SIGPIPE` ended. (The signal itself stays ignored: it would end the screen where a worker dies.)
What cannot be told on standard error is dropped; what is asked for goes to standard output. A
stream that was closed from the start is one that takes everything.
"""

import errno
import io
import os
import sys
from collections.abc import Callable
from typing import TextIO, TypeVar

from ...engine.protocol.errors import ProdtopError

Written = TypeVar("Written")


class OutputGoneError(ProdtopError):
    """Nobody reads the output any more: the command ends, and there is nobody to tell."""

    exit_code = 141


class OutputFailedError(ProdtopError):
    """The output cannot be written, on a full disk for example."""


class OutputStream(io.TextIOWrapper):
    """Standard output. Writing raises a `ProdtopError` where it fails, once: then all is dropped.

    No `OSError`, for which libraries have ends of their own.
    """

    def __init__(self, fd: int, like: TextIO | None) -> None:
        """`like`: the stream whose encoding this has."""
        raw = io.FileIO(fd, "w", closefd=False)
        super().__init__(
            io.BufferedWriter(raw),
            encoding=like.encoding if like is not None else "utf-8",
            errors="backslashreplace",
            line_buffering=os.isatty(fd) or fd == 2,
        )
        self._fd = fd

    def write(self, text: str) -> int:
        """Write text. Raises `OutputGoneError` or `OutputFailedError`."""
        return self._attempt(lambda: io.TextIOWrapper.write(self, text), len(text))

    def flush(self) -> None:
        """Hand over what was written. Raises as `write` does."""
        self._attempt(lambda: io.TextIOWrapper.flush(self), None)

    def _attempt(self, do: Callable[[], Written], done: Written) -> Written:
        try:
            return do()
        except OSError as error:
            # What is still in the buffer must go somewhere, or the interpreter complains later.
            _lead_nowhere(self._fd)
            self.failed(error)
            return done

    def failed(self, error: OSError) -> None:
        """What becomes of an error."""
        if error.errno == errno.EPIPE:
            raise OutputGoneError("nobody reads the output") from error
        raise OutputFailedError(f"cannot write the output: {error.strerror}") from error


class MessageStream(OutputStream):
    """Standard error: what cannot be written there is dropped."""

    def failed(self, error: OSError) -> None:
        """Nothing: there is nowhere to say it."""


def guard_streams() -> None:
    """Put guarded streams in the place of the standard ones. Called once, at the very start."""
    _open_closed()
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = OutputStream(1, sys.stdout)
    sys.stderr = MessageStream(2, sys.stderr)


def finish_output() -> None:
    """Hand over all that was printed. Raises as `OutputStream.write` does."""
    sys.stdout.flush()


def _open_closed() -> None:
    """Where a standard descriptor is closed, the next file that is opened would become it."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return
        os.set_inheritable(fd, True)


def _lead_nowhere(fd: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, fd)
    os.close(nowhere)
