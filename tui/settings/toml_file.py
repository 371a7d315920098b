"""Reads TOML text into a struct, and says in one line what is wrong with text that is malformed."""

import re
from typing import TypeVar

import msgspec

from ...engine.files.toml_text import UnreadableTomlError, parse_toml
from ...engine.text.cleaning import clean

StructT = TypeVar("StructT", bound=msgspec.Struct)


class MalformedFileError(Exception):
    """What is wrong, and the line or the field; whoever catches it adds the name of the file."""


def decode(text: str, into: type[StructT]) -> StructT:
    """Read the text of a TOML file as `into`. Raises `MalformedFileError`."""
    try:
        return msgspec.convert(parse_toml(text), into)
    except UnreadableTomlError as error:
        raise MalformedFileError(clean(str(error))) from None
    except msgspec.ValidationError as error:
        raise MalformedFileError(clean(_field_first(str(error)))) from None


def _field_first(problem: str) -> str:
    """msgspec says ``Expected … - at `$.slo.ttft_ms` ``: put the field in front."""
    match = re.fullmatch(r"(.*) - at `\$\.?(.*?)`", problem, flags=re.DOTALL)
    if match is None:
        return problem[:1].lower() + problem[1:]
    what, field = match.groups()
    return f"{field}: {what[:1].lower()}{what[1:]}" if field else what
