"""Where a body ends, found while its bytes pass: they are looked at, and never changed."""

from .heads import Framing

LONGEST_LINE_BYTES = 16 << 10
"""Of a chunk's length with its extensions, and of all trailers together."""

_HEX = frozenset(b"0123456789abcdefABCDEF")


class FramingError(Exception):
    """Chunks that are none: where the body ends cannot be known."""


class Body:
    """Follows one body. `done` once its last byte has passed."""

    __slots__ = ("_chunked", "_left", "_line", "_state", "done")

    def __init__(self, framing: Framing) -> None:
        self._chunked = framing.chunked
        self._left = framing.length
        """Bytes to come of the body, or of the chunk; `None` until the connection ends."""
        self._line = bytearray()
        self._state = _LENGTH
        self.done = framing.length == 0

    @property
    def until_close(self) -> bool:
        """Whether only the end of the connection ends it."""
        return not self._chunked and self._left is None

    def take(self, data: bytes, start: int = 0) -> tuple[int, list[bytes]]:
        """The body goes on with `data[start:]`: where in it the body ends (its length, if it goes
        on), and the content without the chunks' frames. Raises `FramingError`."""
        if self.done:
            return start, []
        if self._chunked:
            return self._take_chunks(data, start)
        if self._left is None:
            return len(data), [data[start:] if start else data]
        end = min(len(data), start + self._left)
        self._left -= end - start
        self.done = not self._left
        return end, [data[start:end]]

    def _take_chunks(self, data: bytes, start: int) -> tuple[int, list[bytes]]:
        content: list[bytes] = []
        at, size = start, len(data)
        while at < size and not self.done:
            if self._state is _CONTENT:
                left = self._left or 0
                end = min(size, at + left)
                content.append(data[at:end])
                self._left = left - (end - at)
                at = end
                if not self._left:
                    self._state = _AFTER
                continue
            found = data.find(b"\n", at)
            end = size if found < 0 else found + 1
            self._line += data[at:end]
            at = end
            if len(self._line) > LONGEST_LINE_BYTES:
                raise FramingError("a line between chunks is too long")
            if found >= 0:
                self._on_line()
        return at, content

    def _on_line(self) -> None:
        line = bytes(self._line)
        if not line.endswith(b"\r\n"):
            raise FramingError("a line between chunks has another end")
        if self._state is _TRAILERS:
            if line == b"\r\n" or line.endswith(b"\r\n\r\n"):
                self.done = True
            # All trailers count together: the line is kept until the last.
            return
        self._line.clear()
        if self._state is _AFTER:
            if line != b"\r\n":
                raise FramingError("a chunk is longer than it says")
            self._state = _LENGTH
            return
        digits = line[:-2].partition(b";")[0].rstrip(b" \t")
        if not 0 < len(digits) <= 15 or not _HEX.issuperset(digits):
            raise FramingError("the length of a chunk cannot be read")
        self._left = int(digits, 16)
        self._state = _CONTENT if self._left else _TRAILERS


_LENGTH, _CONTENT, _AFTER, _TRAILERS = range(4)
