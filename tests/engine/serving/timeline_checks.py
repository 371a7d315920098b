"""What must hold of a request's timeline at any moment, whatever was done to the request."""

from prodtop.engine.metrics.request_timeline import (
    intervals,
    longest_gap,
    microseconds,
    token_counts,
)
from prodtop.engine.protocol import IntervalKind
from prodtop.engine.serving.request import Request

ORDER = {
    None: {
        IntervalKind.ARRIVING,
        IntervalKind.QUEUED,
        IntervalKind.PREFILL,
        IntervalKind.CACHED,
    },
    IntervalKind.CACHED: set(),
    IntervalKind.ARRIVING: {IntervalKind.QUEUED, IntervalKind.PREFILL},
    IntervalKind.QUEUED: {IntervalKind.PREFILL},
    IntervalKind.PREFILL: {IntervalKind.PREFILL, IntervalKind.DECODE, IntervalKind.PREEMPTED},
    IntervalKind.DECODE: {IntervalKind.PREEMPTED, IntervalKind.PREFILL},
    IntervalKind.PREEMPTED: {IntervalKind.PREFILL},
}
"""What may follow what. An interval that took no time is left out, so some may be missing."""


def check_timeline(request: Request, end_s: float) -> None:
    """The intervals are the whole of the time up to `end_s`, in a possible order, and agree with
    what is known of the request otherwise."""
    pieces = intervals(request, end_s)
    whole_us = microseconds(request, end_s)
    assert sum(piece.length_us for piece in pieces) == whole_us
    at_us = 0
    before: IntervalKind | None = None
    for piece in pieces:
        assert piece.start_us == at_us
        assert piece.length_us >= 0
        assert piece.kind in ORDER[before], f"{piece.kind} after {before}"
        at_us, before = piece.end_us, piece.kind

    decodes = [piece for piece in pieces if piece.kind is IntervalKind.DECODE]
    assert sum(piece.tokens for piece in decodes) == len(request.token_times_s)
    assert sum(token_counts(request, end_s)) == len(request.token_times_s)
    assert sum(piece.kind is IntervalKind.PREEMPTED for piece in pieces) <= request.preemptions
    if request.first_token_at_s is not None:
        assert decodes[0].start_us == microseconds(request, request.first_token_at_s)
    if request.scheduled_at_s is not None and request.queued_at_s is not None:
        queued = [piece.length_us for piece in pieces if piece.kind is IntervalKind.QUEUED]
        scheduled_us = microseconds(request, request.scheduled_at_s)
        assert sum(queued) == scheduled_us - microseconds(request, request.queued_at_s)
    gap = longest_gap(request)
    assert (gap is None) == (len(request.token_times_s) < 2)
