"""A request's life as intervals without a gap, from the marks that the scheduler leaves on it."""

from bisect import bisect_right
from collections.abc import Sequence
from enum import Enum
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np

from ..protocol import IntervalKind, TimelineInterval

TOKEN_PARTS = 120
"""How finely the tokens of a request are told over its time."""


MOST_INTERVALS = 1_000
"""A request that is preempted again and again, or has many chunks, is told in no more."""


class MarkKind(Enum):
    """What the scheduler did to a request."""

    ADMITTED = "admitted"
    CHUNK = "chunk"
    """A step was planned that computes part of its prompt, or of what a preemption lost."""
    PREEMPTED = "preempted"


class Mark(NamedTuple):
    """One thing that the scheduler did, when, and to how many tokens."""

    kind: MarkKind
    at_s: float
    tokens: int = 0


class Marked(Protocol):
    """What a timeline needs of a request: its timestamps, and the marks in their order."""

    @property
    def arrival_at_s(self) -> float: ...
    @property
    def queued_at_s(self) -> float | None: ...
    @property
    def last_token_at_s(self) -> float | None: ...
    @property
    def token_times_s(self) -> Sequence[float]: ...
    @property
    def marks(self) -> Sequence[Mark]: ...


class _Begin(NamedTuple):
    """Where an interval begins; it ends where the next one does."""

    at_s: float
    kind: IntervalKind
    tokens: int = 0


def microseconds(request: Marked, at_s: float) -> int:
    """A moment in whole microseconds since the request's arrival."""
    return round((at_s - request.arrival_at_s) * 1e6)


def intervals(request: Marked, end_s: float) -> list[TimelineInterval]:
    """What happened to a request from its arrival to `end_s`.

    The lengths are differences of one row of moments, so they add up to the whole exactly.
    Intervals of no length are left out, but for chunks, which have tokens.
    """
    begins = _begins(request)
    places = [
        min(microseconds(request, begin.at_s), microseconds(request, end_s)) for begin in begins
    ]
    places.append(microseconds(request, end_s))
    # Clocks are read by turns: a moment before the last one is taken for that one.
    for index in range(1, len(places)):
        places[index] = max(places[index], places[index - 1])
    return [
        TimelineInterval(
            kind=begin.kind, start_us=start, length_us=end - start, tokens=begin.tokens
        )
        for begin, (start, end) in zip(begins, pairwise(places), strict=True)
        if end > start or begin.tokens
    ]


def condensed(
    every: Sequence[TimelineInterval], most: int = MOST_INTERVALS
) -> list[TimelineInterval]:
    """The intervals; of more than `most` neighbours as one, of the kind that takes most of it."""
    together = -(-len(every) // most)
    if together <= 1:
        return [*every]
    return [_as_one(every[at : at + together]) for at in range(0, len(every), together)]


def _as_one(neighbours: Sequence[TimelineInterval]) -> TimelineInterval:
    lengths: dict[IntervalKind, int] = {}
    for each in neighbours:
        lengths[each.kind] = lengths.get(each.kind, 0) + each.length_us
    kind = max(lengths, key=lengths.__getitem__)
    return TimelineInterval(
        kind=kind,
        start_us=neighbours[0].start_us,
        length_us=sum(lengths.values()),
        tokens=sum(each.tokens for each in neighbours if each.kind is kind),
    )


def _begins(request: Marked) -> list[_Begin]:
    if request.queued_at_s is None:
        return [_Begin(request.arrival_at_s, IntervalKind.CACHED)]
    begins = [
        _Begin(request.arrival_at_s, IntervalKind.ARRIVING),
        _Begin(request.queued_at_s, IntervalKind.QUEUED),
    ]
    marks, times_s = request.marks, request.token_times_s
    for index, mark in enumerate(marks):
        if mark.kind is MarkKind.PREEMPTED:
            begins.append(_Begin(mark.at_s, IntervalKind.PREEMPTED))
            continue
        begins.append(_Begin(mark.at_s, IntervalKind.PREFILL, mark.tokens))
        following = marks[index + 1] if index + 1 < len(marks) else None
        if following is not None and following.kind is not MarkKind.PREEMPTED:
            continue
        # The last chunk of a run gives its first token: from there on it decodes.
        first = bisect_right(times_s, mark.at_s)
        end = len(times_s) if following is None else bisect_right(times_s, following.at_s)
        if first < end:
            begins.append(_Begin(times_s[first], IntervalKind.DECODE, end - first))
    return begins


def token_counts(request: Marked, end_s: float, parts: int = TOKEN_PARTS) -> list[int]:
    """Tokens generated in each of `parts` equal parts of the time from arrival to `end_s`."""
    if not request.token_times_s:
        return []
    times_s = np.asarray(request.token_times_s, dtype=np.float64) - request.arrival_at_s
    span_s = end_s - request.arrival_at_s
    places = (times_s * (parts / span_s if span_s > 0.0 else 0.0)).astype(np.int64)
    counts: list[int] = np.bincount(np.minimum(places, parts - 1), minlength=parts).tolist()
    return counts


def longest_gap(request: Marked) -> tuple[float, float] | None:
    """When the longest time between two tokens began, and its length, both in seconds; `None`
    before there are two."""
    return max(
        ((earlier, later - earlier) for earlier, later in pairwise(request.token_times_s)),
        key=lambda gap: gap[1],
        default=None,
    )
