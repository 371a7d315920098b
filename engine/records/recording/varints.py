"""Reading streams of bytes from anywhere: numbers of seven bits a byte, and pieces of text."""

import re
from collections.abc import Iterator
from itertools import chain

_MOST_VARINT_BITS = 84
_RUNS = re.compile(rb"[\x00-\x7f]+|[\x80-\xff]{1,%d}[\x00-\x7f]?" % (_MOST_VARINT_BITS // 7))
"""Numbers of one byte one after the other, or one number of several bytes."""


class MalformedTicksError(Exception):
    """The bytes are no ticks: says what is wrong, as the end of a line."""


def varints(name: str, data: bytes) -> Iterator[int]:
    """The numbers of a stream that holds nothing else: seven bits a byte, the lowest first.

    One after the other, as they are asked for. Raises `MalformedTicksError` where one has no end.
    """
    # A seek takes in a hundred thousand, and most are of one byte: a run of those is iterated as
    # it is, without a step of Python for each.
    return chain.from_iterable(
        run[0] if run[0].isascii() else (_number(name, run[0]),) for run in _RUNS.finditer(data)
    )


def signed_varints(name: str, data: bytes) -> Iterator[int]:
    """As `varints`, of numbers whose lowest bit is the sign."""
    return chain.from_iterable(
        map(_SIGNED.__getitem__, run[0]) if run[0].isascii() else (_signed(_number(name, run[0])),)
        for run in _RUNS.finditer(data)
    )


def _number(name: str, data: bytes) -> int:
    if data[-1] >= 0x80 or 7 * len(data) > _MOST_VARINT_BITS:
        raise MalformedTicksError(f"a number in the stream of {name} has no end")
    number = 0
    for byte in reversed(data):
        number = number << 7 | byte & 0x7F
    return number


def _signed(number: int) -> int:
    return -(number + 1 >> 1) if number & 1 else number >> 1


_SIGNED = [_signed(number) for number in range(0x80)]


class Cursor:
    """Reads a stream of mixed parts from its beginning. Raises `MalformedTicksError` at its end."""

    __slots__ = ("_at", "_data", "_name")

    def __init__(self, name: str, data: bytes) -> None:
        self._name, self._data, self._at = name, data, 0

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def varint(self) -> int:
        """The next number."""
        data, number, shift = self._data, 0, 0
        for at in range(self._at, min(len(data), self._at + _MOST_VARINT_BITS // 7)):
            number |= (data[at] & 0x7F) << shift
            shift += 7
            if data[at] < 0x80:
                self._at = at + 1
                return number
        raise MalformedTicksError(f"a number in the stream of {self._name} has no end")

    def take(self, length: int) -> bytes:
        """The next bytes."""
        end = self._at + length
        if end > len(self._data):
            raise MalformedTicksError(f"the stream of {self._name} ends too early")
        piece = self._data[self._at : end]
        self._at = end
        return piece
