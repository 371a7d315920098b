"""Compressing ticks: seconds as they come with zlib, whole segments with LZMA, both bounded.

A segment's streams hold other kinds of bytes each, and are compressed one by one.
"""

import lzma
import zlib

import msgspec

from .encoding import Streams

LARGEST_UNPACKED_BYTES = 8 << 20
"""Of a segment: one of four polls a second and a full table of requests has a tenth of it."""
_LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": LARGEST_UNPACKED_BYTES}]
"""Stated here and not in the data: what a file says costs no memory."""


class UnpackingError(Exception):
    """The bytes were not packed here: says what is wrong, as the end of a line."""


def pack_second(streams: Streams) -> bytes:
    """Little time, and no more than some seconds' worth of bytes."""
    return zlib.compress(msgspec.msgpack.encode(streams), 6)


def unpack_second(packed: bytes, most: int = LARGEST_UNPACKED_BYTES) -> Streams:
    """Raises `UnpackingError`, for more than `most` bytes as well."""
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(packed, max(1, most))
    except zlib.error as error:
        raise UnpackingError(f"cannot be decompressed: {error}") from None
    if not unpacking.eof:
        raise UnpackingError("is cut off, or decompresses to more than a recording has")
    return _streams(content)


def pack_segment(streams: Streams) -> bytes:
    """As few bytes as can be: a tenth of a second for a minute."""
    packed = [
        lzma.compress(getattr(streams, name), format=lzma.FORMAT_RAW, filters=_LZMA)
        for name in Streams.__struct_fields__[1:]
    ]
    return msgspec.msgpack.encode([streams.ticks, *packed])


def unpack_segment(packed: bytes) -> Streams:
    """Raises `UnpackingError`."""
    parts = _streams(packed)
    left = LARGEST_UNPACKED_BYTES
    for name in Streams.__struct_fields__[1:]:
        content = _unpacked(getattr(parts, name), left)
        left -= len(content)
        setattr(parts, name, content)
    return parts


def _unpacked(packed: bytes, most: int) -> bytes:
    unpacking = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_LZMA)
    try:
        content = unpacking.decompress(packed, max(1, most))
    except (lzma.LZMAError, EOFError) as error:
        raise UnpackingError(f"cannot be decompressed: {error}") from None
    if not unpacking.eof:
        raise UnpackingError("is cut off, or decompresses to more than a recording has")
    return content


def _streams(content: bytes) -> Streams:
    try:
        return msgspec.msgpack.decode(content, type=Streams)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UnpackingError(f"is malformed: {error}") from None
