"""Reading streams of bytes from anywhere: numbers of seven bits a byte, and pieces of text."""

from collections.abc import Iterator

_MOST_VARINT_BITS = 84


class MalformedTicksError(Exception):
    """The bytes are no ticks: says what is wrong, as the end of a line."""


def varints(name: str, data: bytes) -> Iterator[int]:
    """The numbers of a stream that holds nothing else: seven bits a byte, the lowest first.

    One after the other, as they are asked for. Raises `MalformedTicksError` where one has no end.
    """
    number = shift = 0
    for byte in data:
        # Most are of one byte.
        if byte < 0x80 and not shift:
            yield byte
            continue
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0
        elif shift >= _MOST_VARINT_BITS:
            break
    if shift:
        raise MalformedTicksError(f"a number in the stream of {name} has no end")


def signed_varints(name: str, data: bytes) -> Iterator[int]:
    """As `varints`, of numbers whose lowest bit is the sign."""
    for number in varints(name, data):
        yield -(number + 1 >> 1) if number & 1 else number >> 1


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
