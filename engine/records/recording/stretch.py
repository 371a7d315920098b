"""A part of a recording, and how it is written behind the recording's name."""

import re

import msgspec

from ...protocol.errors import BadInputError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2}(?:\.\d+)?)")
_PARTS = re.compile(r"(?:\d{1,9}(?:\.\d+)?[smh]?)+")
_PART = re.compile(r"(\d{1,9}(?:\.\d+)?)([smh]?)")


class Stretch(msgspec.Struct, frozen=True):
    """A part of a recording, in seconds since its beginning; `None`: from there, or to its end."""

    from_s: float | None = None
    to_s: float | None = None

    def __str__(self) -> str:
        ends = ("" if end is None else f"{end:g}s" for end in (self.from_s, self.to_s))
        return "..".join(ends)


WHOLE = Stretch()


def split_name(text: str) -> tuple[str, Stretch]:
    """A name and the stretch behind it: `latest@1m..2m30s`. Raises `BadInputError`."""
    name, at, stretch = text.rpartition("@")
    if not at or ".." not in stretch:
        return text, WHOLE
    begin, _, end = stretch.partition("..")
    found = Stretch(_seconds(begin), _seconds(end))
    if found.from_s is not None and found.to_s is not None and found.from_s >= found.to_s:
        raise BadInputError(f"'{stretch}' ends before it begins")
    return name, found


def _seconds(text: str) -> float | None:
    """`90`, `1m30s`, `1:30`, `1:02:03`; nothing is `None`. Raises `BadInputError`."""
    text = text.strip()
    if not text:
        return None
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        return hours * 3600 + minutes * 60 + seconds
    if _PARTS.fullmatch(text) is None:
        raise BadInputError(f"'{text}' is no time of a recording: write 90, 1m30s or 1:30")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
