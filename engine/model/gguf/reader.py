"""Where each tensor of a GGUF file lies, as its header says."""

import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...text.cleaning import clean
from .dequantize import TYPES, UNREAD, TensorType
from .header import read_header
from .values import LONGEST_NAME_BYTES, HeaderCursor

_MOST_DIMENSIONS = 4
_DEFAULT_ALIGNMENT = 32
_LARGEST_ALIGNMENT = 1 << 16
_LARGEST_DIMENSION = 2**40
"""Far above any model's, and far from what a product of four could not hold exactly."""


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """Where a tensor of `shape` (rows first) lies: `size_bytes` bytes from `offset` of the file."""

    name: str
    type: TensorType
    shape: tuple[int, ...]
    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class GgufFile:
    """A file whose header was read; `data` is the whole file, mapped.

    The values of `metadata` are bools, numbers, texts and lists of one of these kinds.
    """

    path: Path
    data: mmap.mmap
    metadata: Mapping[str, object]
    tensors: Mapping[str, GgufTensor]


def read_gguf(path: Path) -> GgufFile:
    """Read the header of the GGUF file `path`; of its tensors nothing is read.

    Raises:
        CheckpointError: it is not there, no regular file, no GGUF of version 2 or 3, damaged,
            larger than any model's, or holds tensors of a type that is not read here.
    """
    header = read_header(path)
    cursor = header.cursor
    headers = [_tensor_header(cursor) for _ in range(header.tensors)]
    alignment = _alignment(cursor, header.metadata)
    start = -(-cursor.offset // alignment) * alignment
    placed = _placed(cursor, headers, start, alignment, len(header.data))
    return GgufFile(path, header.data, header.metadata, placed)


def _tensor_header(cursor: HeaderCursor) -> GgufTensor:
    """A tensor whose offset counts from where the tensors begin, which is not known yet."""
    name = cursor.text(LONGEST_NAME_BYTES)
    shown = clean(name)
    count = cursor.word()
    if not 1 <= count <= _MOST_DIMENSIONS:
        raise cursor.error(f"tensor {shown!r} has {count} dimensions: damaged")
    dimensions = [cursor.length() for _ in range(count)]
    number, offset = cursor.word(), cursor.length()
    if not all(1 <= each <= _LARGEST_DIMENSION for each in dimensions):
        raise cursor.error(f"tensor {shown!r} has the dimensions {dimensions}: damaged")
    if number not in TYPES:
        if number not in UNREAD:
            raise cursor.error(f"tensor {shown!r} is of the unknown type {number}")
        raise cursor.error(
            f"{UNREAD[number]} is not read (tensor {shown!r}): convert the file to Q8_0, Q4_0, "
            "Q4_1, BF16 or F16"
        )
    kind = TYPES[number]
    # The first dimension is the one whose values lie side by side.
    if dimensions[0] % kind.block_values:
        raise cursor.error(
            f"tensor {shown!r} has rows of {dimensions[0]} values, {kind.name} needs blocks of "
            f"{kind.block_values}"
        )
    size_bytes = math.prod(dimensions) // kind.block_values * kind.block_bytes
    return GgufTensor(name, kind, tuple(reversed(dimensions)), offset, size_bytes)


def _alignment(cursor: HeaderCursor, metadata: Mapping[str, object]) -> int:
    alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if isinstance(alignment, bool) or not isinstance(alignment, int):
        raise cursor.error("`general.alignment` is no whole number")
    if not 1 <= alignment <= _LARGEST_ALIGNMENT or alignment & (alignment - 1):
        raise cursor.error(f"`general.alignment` is {alignment} and no power of two: damaged")
    return alignment


def _placed(
    cursor: HeaderCursor, headers: list[GgufTensor], start: int, alignment: int, size_bytes: int
) -> dict[str, GgufTensor]:
    """The tensors by name with their offsets in the file, none over another or over the end."""
    placed: dict[str, GgufTensor] = {}
    end = start
    for header in sorted(headers, key=lambda each: each.offset):
        shown = clean(header.name)
        offset = start + header.offset
        if header.name in placed:
            raise cursor.error(f"has the tensor {shown!r} twice")
        if offset % alignment:
            raise cursor.error(f"tensor {shown!r} does not begin at a multiple of {alignment}")
        if offset < end:
            raise cursor.error(f"tensor {shown!r} begins within the one before it: damaged")
        end = offset + header.size_bytes
        if end > size_bytes:
            raise cursor.error(f"ends within tensor {shown!r}: truncated or damaged")
        placed[header.name] = GgufTensor(
            header.name, header.type, header.shape, offset, header.size_bytes
        )
    return placed


def tensor_bytes(file: GgufFile, tensor: GgufTensor) -> memoryview:
    """The bytes of a tensor as the file stores them."""
    return memoryview(file.data)[tensor.offset : tensor.offset + tensor.size_bytes]
