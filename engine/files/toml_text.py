"""Reading TOML that somebody else wrote: within bounds of size and depth, or one line says why not.

`tomllib` takes minutes over a key of some ten thousand dotted parts, and recurses over brackets.
"""

import re
import tomllib
from pathlib import Path

from ..protocol.errors import CheckpointError
from .bounded import read_bounded

LARGEST_TOML_BYTES = 256 << 10
"""Bytes of a file that a person writes: a theme has 2 KiB, a table of GPUs 6."""

_MOST_KEY_PARTS = 16
_KEY_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_KEY_PART}(?:[ \t]*\.[ \t]*{_KEY_PART}){{{_MOST_KEY_PARTS}}}")


class UnreadableTomlError(Exception):
    """What is wrong, as the end of a line: whoever catches it puts the name of the file before."""


def read_toml(path: Path) -> dict[str, object]:
    """The tables of a TOML file, with a byte order mark or without.

    Raises:
        FileNotFoundError: nothing is there.
        UnreadableTomlError: it is no regular file, too large, out of reach, or malformed.
    """
    return parse_toml(read_toml_text(path))


def read_toml_text(path: Path) -> str:
    """The text of a TOML file, not looked at yet. Raises as `read_toml` does."""
    try:
        return decode_toml_text(read_bounded(path, LARGEST_TOML_BYTES))
    except CheckpointError as error:
        raise UnreadableTomlError(str(error).removeprefix(f"{path}: ")) from error


def decode_toml_text(data: bytes) -> str:
    """Bytes as text. Raises `UnreadableTomlError` where they are none."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableTomlError("not UTF-8 text") from None


def parse_toml(text: str) -> dict[str, object]:
    """The tables of TOML text; raises `UnreadableTomlError`, with the line where one is wrong."""
    if _LONG_KEY.search(text):
        raise UnreadableTomlError(f"a key of more than {_MOST_KEY_PARTS} parts")
    try:
        # As a file opened in text mode would have it.
        return tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        lines = text.count("\n") + 1
        problem = str(error).replace("at end of document", f"at line {lines}, the end of the file")
        raise UnreadableTomlError(problem) from None
    except RecursionError:
        raise UnreadableTomlError("nested too deeply") from None
    # A number of thousands of digits, a date that no calendar has.
    except ValueError as error:
        raise UnreadableTomlError(str(error).partition(";")[0]) from None
