"""What may lie where a file should: no regular file, or one without an end or a floor."""

import os
import socket
from collections.abc import Callable
from pathlib import Path


def as_link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def as_socket(path: Path) -> None:
    # Its address may have 107 bytes only.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


IRREGULAR: dict[str, Callable[[Path], None]] = {
    "a device": as_link("/dev/zero"),
    "a FIFO": lambda path: os.mkfifo(path),
    "a folder": lambda path: path.mkdir(),
    "a socket": as_socket,
}
"""How each kind is put at a path, by the words with which it is refused."""


def as_bytes(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def as_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


HOSTILE: dict[str, Callable[[Path], None]] = {
    **IRREGULAR,
    "a terabyte": as_sparse,
    "not text": as_bytes(b"\xff\xfe\x00"),
    "nested lists": as_bytes(b"a = " + b"[" * 100_000),
    "nested tables": as_bytes(b"a = " + b"{a=" * 50_000),
    "nested objects": as_bytes(b'{"a":' * 50_000),
    "a key of many parts": as_bytes(b".".join([b"a"] * 60_000) + b" = 1"),
    "a quoted key of many parts": as_bytes(b" . ".join([b'"a"'] * 40_000) + b" = 1"),
    "a table of many parts": as_bytes(b"[" + b".".join([b"a"] * 60_000) + b"]"),
    "a number of 100,000 digits": as_bytes(b"a = " + b"9" * 100_000),
    "a number of 4,000 digits": as_bytes(b"a = " + b"9" * 4_000),
    "JSON of 100,000 digits": as_bytes(b'{"schema_version": ' + b"9" * 100_000 + b"}"),
    "no date": as_bytes(b"a = 2026-13-45"),
    "escapes": as_bytes(b'"\\u001b[2J" = 1\n'),
    "empty lines": as_bytes(b"\n" * 100),
}
"""Files that a reader must refuse, or read as one without content, at once."""
