"""One line on stderr that is overwritten as work goes on."""

from typing import TextIO

from ...engine.text.clean_stream import raw_stream
from ...engine.text.cleaning import clean

ERASE_LINE = "\r\x1b[K"


class StatusLine:
    """Passing messages overwrite each other on a terminal, and are left out elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = raw_stream(stream)
        self._terminal = stream.isatty()
        self._shown = False

    def show(self, text: str) -> None:
        """A passing message."""
        if self._terminal:
            self._stream.write(f"{ERASE_LINE}{clean(text)}")
            self._stream.flush()
            self._shown = True

    def say(self, text: str) -> None:
        """A message that stays."""
        self.clear()
        self._stream.write(f"{clean(text)}\n")
        self._stream.flush()

    def ring(self) -> None:
        """The terminal's bell."""
        if self._terminal:
            self._stream.write("\a")
            self._stream.flush()

    def clear(self) -> None:
        """Make room for other output."""
        if self._shown:
            self._stream.write(ERASE_LINE)
            self._stream.flush()
            self._shown = False
