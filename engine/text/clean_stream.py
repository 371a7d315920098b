"""The net at the edge: a text stream that lets no control character of any source through.

Texts are cleaned where they enter. What slipped past is caught here, before it reaches a terminal
or a log that somebody will read in one.
"""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from .cleaning import clean


class CleanStream(io.TextIOBase):
    """Writes what `clean` leaves of a text to `raw`, line breaks kept."""

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute in typeshed
        return self.raw.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # the same
        return self.raw.errors

    def write(self, text: str) -> int:
        self.raw.write(clean(text, keep_newlines=True))
        return len(text)

    def flush(self) -> None:
        self.raw.flush()

    def isatty(self) -> bool:
        return self.raw.isatty()

    def fileno(self) -> int:
        return self.raw.fileno()

    def writable(self) -> bool:
        return True


def raw_stream(stream: TextIO) -> TextIO:
    """What a stream writes to: for whoever cleans its texts itself and adds escapes of its own."""
    return stream.raw if isinstance(stream, CleanStream) else stream


@contextmanager
def clean_output() -> Iterator[None]:
    """Let all that this process prints go through `CleanStream`, and put the streams back."""
    before = sys.stdout, sys.stderr
    # A process may have been started without one.
    sys.stdout, sys.stderr = (
        stream if stream is None else CleanStream(stream) for stream in before
    )
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
