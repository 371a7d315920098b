"""The values in a GGUF header, read one after the other and never beyond bounds.

The format is that of ggml's `docs/gguf.md`, version 2 and 3, little-endian: a number as itself, a
text as its length (64 bits) and its bytes, an array as the type and the number (64 bits) of its
elements, then these.
"""

import mmap
import struct
from pathlib import Path

import numpy as np

from ...protocol.errors import CheckpointError

LARGEST_HEADER_BYTES = 256 << 20
"""A vocabulary of 256,000 tokens with its merges takes about 12 MB."""

MOST_ELEMENTS = 1 << 22
"""Of all arrays together. A vocabulary of 256,000 tokens has 1.4 million: texts, scores, types and
merges."""

LONGEST_NAME_BYTES = 1024
"""ggml itself takes 64 bytes for a tensor's name, 65,535 for a key."""

_SCALARS = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
_BOOL, _TEXT, _ARRAY = 7, 8, 9
_LENGTH = struct.Struct("<Q")
_WORD = struct.Struct("<I")


class HeaderCursor:
    """Reads the mapped file `data` from its begin on. `path` names it in errors.

    Every method raises `CheckpointError` where the file ends before the value does, or the header
    is larger than any model's.
    """

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self._data = data
        self._end = min(len(data), LARGEST_HEADER_BYTES)
        self._path = path
        self._elements = 0
        self.offset = 0

    def error(self, what: str) -> CheckpointError:
        """The error that says `what` of this file, for the caller to raise."""
        return CheckpointError(f"{self._path}: {what}")

    def word(self) -> int:
        """An unsigned number of 32 bits."""
        number: int = _WORD.unpack_from(self._data, self._advance(_WORD.size))[0]
        return number

    def length(self) -> int:
        """An unsigned number of 64 bits."""
        number: int = _LENGTH.unpack_from(self._data, self._advance(_LENGTH.size))[0]
        return number

    def text(self, longest: int = LARGEST_HEADER_BYTES) -> str:
        """A text of up to `longest` bytes of UTF-8."""
        length = self.length()
        if length > longest:
            raise self.error(f"a text of {length} bytes in its header: damaged, or no model's")
        start = self._advance(length)
        try:
            return self._data[start : start + length].decode("utf-8")
        except UnicodeDecodeError:
            raise self.error(f"a text at byte {start} of its header is not UTF-8") from None

    def value(self) -> object:
        """A value with its type before it: a bool, number or text, or a list of one such kind."""
        kind = self.word()
        if kind != _ARRAY:
            return self._list(kind, 1)[0]
        kind, count = self.word(), self.length()
        if kind == _ARRAY:
            raise self.error("an array of arrays in its header, which no model has")
        self._elements += count
        if self._elements > MOST_ELEMENTS:
            raise self.error(f"more than {MOST_ELEMENTS} values in its header")
        return self._list(kind, count)

    def _list(self, kind: int, count: int) -> list[object]:
        if kind == _TEXT:
            return [self.text() for _ in range(count)]
        if kind == _BOOL:
            values = self._numbers("<u1", count)
            if not set(values) <= {0, 1}:
                raise self.error("a truth value in its header is neither 0 nor 1")
            return [value == 1 for value in values]
        if kind not in _SCALARS:
            raise self.error(f"a value of the unknown type {kind} in its header")
        return self._numbers(_SCALARS[kind], count)

    def _numbers(self, kind: str, count: int) -> list[object]:
        dtype = np.dtype(kind)
        start = self._advance(dtype.itemsize * count)
        numbers: list[object] = np.frombuffer(self._data, dtype, count, start).tolist()
        return numbers

    def _advance(self, size: int) -> int:
        """Step over `size` bytes, and return where they begin."""
        start = self.offset
        if size > self._end - start:
            if self._end < len(self._data):
                raise self.error(f"a header of more than {LARGEST_HEADER_BYTES >> 20} MiB")
            raise self.error("ends within its header: truncated or damaged")
        self.offset = start + size
        return start
