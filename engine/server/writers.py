"""What the two kinds of answers have in common: their head, and how a stream of them is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from .choice_text import Piece
from .generation import Choice
from .schema.common import GenerationBody


@dataclass(frozen=True, slots=True)
class Head:
    """What is the same in an answer and all of its chunks; `metrics`: its times are wanted."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    metrics: bool


class Writer(Protocol):
    """Makes an answer of one kind of pieces."""

    def events(self, choice: Choice, piece: Piece) -> bytes:
        """What a stream says of a piece; nothing, where there is nothing to say yet."""
        ...

    def last_events(self) -> bytes:
        """What comes once all choices have ended."""
        ...

    def whole(self, pieces: Sequence[Piece]) -> msgspec.Struct:
        """The answer at once, from the whole piece of each choice."""
        ...


_ENCODE = msgspec.json.Encoder().encode
_MARK = "\0"


def event(chunk: msgspec.Struct) -> bytes:
    """A chunk as a server-sent event."""
    return b"data: " + _ENCODE(chunk) + b"\n\n"


def events_of(chunks: Sequence[msgspec.Struct]) -> bytes:
    """Several, in one write."""
    return b"".join(map(event, chunks))


class TextEvents:
    """Events that differ in their text alone, of which a stream has thousands: made from one.

    `chunk` gives the chunk that has a text.
    """

    def __init__(self, chunk: Callable[[str], msgspec.Struct]) -> None:
        self._before, self._after = event(chunk(_MARK)).split(_ENCODE(_MARK))

    def of(self, text: str) -> bytes:
        """The event with `text`."""
        return self._before + _ENCODE(text) + self._after


@dataclass(frozen=True, slots=True)
class UsageWanted:
    """Where a stream tells usage: in a chunk at its end, and in each."""

    at_end: bool
    in_each: bool

    @classmethod
    def of(cls, body: GenerationBody) -> "UsageWanted":
        """As the request's `stream_options` say."""
        options = body.stream_options
        at_end = options is not None and options.include_usage is True
        each = options is not None and options.continuous_usage_stats is True
        return cls(at_end, at_end and each)
