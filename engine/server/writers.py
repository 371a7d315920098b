"""What the two kinds of answers have in common: their head, and how a stream of them is written."""

from collections.abc import Sequence
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

    def chunks(self, choice: Choice, piece: Piece) -> list[msgspec.Struct]:
        """What a stream says of a piece; nothing, where there is nothing to say yet."""
        ...

    def last_chunks(self) -> list[msgspec.Struct]:
        """What comes once all choices have ended."""
        ...

    def whole(self, pieces: Sequence[Piece]) -> msgspec.Struct:
        """The answer at once, from the whole piece of each choice."""
        ...


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
