"""Single requests: those in the system as rows of a table, and the timeline of one of them."""

from enum import StrEnum

from .message import Message, Part

REQUESTS_INTERVAL_S = 0.25
"""How often those in the system, and the timeline that is looked at, are told at most."""


class RequestState(StrEnum):
    """Where a request is. The last two are final."""

    WAITING = "waiting"
    """In the queue, and nothing of it was computed yet."""
    PREFILL = "prefill"
    """It runs, and its prompt is not computed yet (or not again, after a preemption)."""
    DECODE = "decode"
    PREEMPTED = "preempted"
    """In the queue again: its KV blocks were given up."""
    UNSTARTED = "no token"
    """With another's server, which has sent no token of it: it waits or is in prefill."""
    FINISHED = "finished"
    FAILED = "failed"


class LiveRequest(Part, frozen=True, kw_only=True, array_like=True, gc=False):
    """One request that is in the system. `None` where it has not come so far, or where an attached
    server does not tell."""

    request_id: int
    state: RequestState
    arrival_at_s: float
    prompt_tokens: int | None
    output_tokens: int | None
    max_tokens: int | None
    cached_prompt_tokens: int | None = 0
    queue_ms: float | None = None
    ttft_ms: float | None = None
    preemptions: int = 0


class RequestsInSystem(Message, frozen=True, kw_only=True):
    """Requests that are in the system at `at_s`: all that run and wait, or of many only some.

    `running` and `waiting` count them all; of an attached server, which does not tell of single
    requests what they do, all run. Of those left out, the oldest and the newest of each
    kind are never among them.
    """

    at_s: float
    running: int
    waiting: int
    requests: list[LiveRequest]


class IntervalKind(StrEnum):
    """What happened to a request in an interval of its timeline."""

    ARRIVING = "arriving"
    """From the arrival until the scheduler got it: the worker was busy, or tokenized it."""
    QUEUED = "queued"
    PREFILL = "prefill"
    """A chunk of the prompt, or of what was lost by a preemption: until the next one begins."""
    DECODE = "decode"
    PREEMPTED = "preempted"
    FIRST_TOKEN = "1st token"
    """With another's server, until its first token: in its queue and in prefill."""
    CACHED = "cached"
    """From the arrival until the response cache's answer was delivered."""


class TimelineInterval(Part, frozen=True, kw_only=True, array_like=True, gc=False):
    """A piece of a request's timeline, in whole microseconds since its arrival.

    `tokens`: of a prefill those computed in the chunk, of a decode those generated in it.
    """

    kind: IntervalKind
    start_us: int
    length_us: int
    tokens: int = 0

    @property
    def end_us(self) -> int:
        return self.start_us + self.length_us


class RequestTimeline(Message, frozen=True, kw_only=True):
    """All that the worker knows of one request; the answer to `InspectRequest`.

    The intervals follow each other from the arrival on without a gap, so their lengths add up to
    `e2e_us` exactly; of a request in the system that is its age at this moment.
    """

    request_id: int
    state: RequestState | None
    """`None`: the worker does not keep this request (any more); then nothing else counts."""
    at_s: float
    e2e_us: int = 0
    first_token_us: int | None = None
    intervals: list[TimelineInterval] = []
    token_counts: list[int] = []
    """Tokens generated in each of as many equal parts of the time from arrival to `e2e_us`."""
    longest_gap_us: int | None = None
    """The longest time between two of its tokens; `None` before there are two."""
    longest_gap_start_us: int | None = None
    waiting_ahead: int | None = None
    """Requests that waited already when it was queued; `None` if it never was."""
    prompt_tokens: int | None = 0
    output_tokens: int | None = 0
    max_tokens: int | None = 0
    cached_prompt_tokens: int | None = 0
    finish_reason: str | None = None

    def length_us(self, *kinds: IntervalKind, until_us: int | None = None) -> int:
        """The time in intervals of some kinds, up to a moment if one is given."""
        return sum(
            (each.end_us if until_us is None else min(each.end_us, until_us)) - each.start_us
            for each in self.intervals
            if each.kind in kinds and (until_us is None or each.start_us < until_us)
        )
