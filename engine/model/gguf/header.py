"""Reading the first part of a GGUF file's header: its metadata. Without torch, as a server is."""

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...files.mapped import map_file
from ...protocol.errors import CheckpointError
from ...text.cleaning import clean
from .values import LONGEST_NAME_BYTES, HeaderCursor

_MAGIC = int.from_bytes(b"GGUF", "little")
_VERSIONS = (2, 3)
_MOST_KEYS = 1 << 16
_MOST_TENSORS = 1 << 18
"""A model of 10,000 layers has half as many."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What was read; `cursor` stands where the headers of so many `tensors` begin.

    The values of `metadata` are bools, numbers, texts and lists of one of these kinds.
    """

    data: mmap.mmap
    cursor: HeaderCursor
    metadata: Mapping[str, object]
    tensors: int


def read_header(path: Path) -> GgufHeader:
    """Read the metadata of the GGUF file `path`.

    Raises:
        CheckpointError: it is not there, no regular file, no GGUF of version 2 or 3, damaged, or
            larger than any model's.
    """
    try:
        data = map_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: is a link to something that is not there") from None
    cursor = HeaderCursor(data, path)
    if cursor.word() != _MAGIC:
        raise cursor.error("is no GGUF file, whatever its name says")
    version = cursor.word()
    if version not in _VERSIONS:
        if int.from_bytes(version.to_bytes(4, "little"), "big") in _VERSIONS:
            raise cursor.error("is big-endian GGUF, which is not read: convert it")
        raise cursor.error(f"is GGUF of version {version}, which is not read (2 and 3 are)")
    tensors, keys = cursor.length(), cursor.length()
    if tensors > _MOST_TENSORS or keys > _MOST_KEYS:
        raise cursor.error(f"says that it has {keys} keys and {tensors} tensors: damaged")
    metadata: dict[str, object] = {}
    for _ in range(keys):
        key = cursor.text(LONGEST_NAME_BYTES)
        if key in metadata:
            raise cursor.error(f"has the key {clean(key)!r} twice")
        metadata[key] = cursor.value()
    return GgufHeader(data, cursor, metadata, tensors)
