"""The door through which reports from outside enter the screen: all their text is cleaned here.

A terminal obeys whatever escape reaches it, so model output, prompts, names and messages are
stripped of control characters before anything else sees them.
"""

from enum import Enum
from typing import TypeVar, cast

import msgspec

from ...engine.protocol import Event, Report
from ...engine.text.cleaning import clean

MULTILINE_FIELDS = frozenset({"text", "prompt"})
"""Fields whose line breaks mean something."""

_Value = TypeVar("_Value")
_Message = TypeVar("_Message", bound=msgspec.Struct)


def clean_report(report: Report) -> Report:
    """The same report with every string in it safe to show; unchanged reports are returned as
    they are."""
    return _cleaned(report, keep_newlines=False)


def clean_event(event: Event) -> Event:
    """As `clean_report`, of an event."""
    return _cleaned(event, keep_newlines=False)


def cleaned(message: _Message) -> _Message:
    """As `clean_report`, of what else is read from a file."""
    return _cleaned(message, keep_newlines=False)


def _cleaned(value: _Value, *, keep_newlines: bool) -> _Value:
    """`value` with its strings cleaned, however deep they lie. The type does not change."""
    cleaned: object = value
    if isinstance(value, msgspec.Struct):
        cleaned = _cleaned_struct(value)
    elif isinstance(value, str) and not isinstance(value, Enum):
        cleaned = clean(value, keep_newlines=keep_newlines)
    elif isinstance(value, list):
        cleaned = [_cleaned(item, keep_newlines=keep_newlines) for item in value]
    elif isinstance(value, dict):
        cleaned = {
            _cleaned(key, keep_newlines=False): _cleaned(item, keep_newlines=keep_newlines)
            for key, item in value.items()
        }
    return cast(_Value, cleaned)


def _cleaned_struct(struct: msgspec.Struct) -> msgspec.Struct:
    changes: dict[str, object] = {}
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if isinstance(value, (float, int, bool)) or value is None:
            continue
        cleaned = _cleaned(value, keep_newlines=name in MULTILINE_FIELDS)
        if cleaned != value:
            changes[name] = cleaned
    return msgspec.structs.replace(struct, **changes) if changes else struct
