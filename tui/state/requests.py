"""What the screen knows of single requests: those in the system, and the last that ended."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from ...engine.protocol import (
    FinishedRequest,
    LiveRequest,
    RequestsInSystem,
    RequestState,
    RequestTimeline,
)

KEPT_REQUESTS = 2_000
"""Requests that ended that are remembered, the last ones."""

_SEEN_OUTSIDE = (RequestState.UNSTARTED, RequestState.DECODE)
"""States of a request that another's server has: one of our own that decodes has left a queue."""

WORKER_DIED = "worker died"


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request. Times of day are on the clock of the history; `None`: not so far, or unknown.

    `e2e_ms` of one that has not ended is its age. `worker` counts the processes that served:
    ids begin anew with each.
    """

    worker: int
    request_id: int
    state: RequestState
    arrival_s: float
    prompt_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    queue_ms: float | None
    ttft_ms: float | None
    tpot_ms: float | None
    e2e_ms: float
    reason: str = ""
    max_tokens: int | None = None
    preemptions: int = 0
    from_response_cache: bool = False
    seen_inside: bool = True
    """Whether its engine tells when it left the queue: another's server does not."""

    @property
    def key(self) -> str:
        """What names it among the requests of all workers."""
        return f"{self.worker}.{self.request_id}"

    @property
    def ended(self) -> bool:
        return self.state in (RequestState.FINISHED, RequestState.FAILED)

    @property
    def end_s(self) -> float:
        return self.arrival_s + self.e2e_ms / 1e3

    def as_of(self, wall_s: float) -> "RequestRow":
        """The request as it was at an earlier moment of its life: what came later is not known."""
        age_ms = (wall_s - self.arrival_s) * 1e3
        if self.ended and self.e2e_ms <= age_ms:
            return self
        begun = self.queue_ms is not None and self.queue_ms <= age_ms
        decodes = self.ttft_ms is not None and self.ttft_ms <= age_ms
        state = RequestState.DECODE if decodes else RequestState.PREFILL
        if not self.seen_inside:
            begun = decodes
        return replace(
            self,
            state=state if begun else self._before_it_begins,
            output_tokens=None if begun else 0,
            queue_ms=self.queue_ms if begun else None,
            ttft_ms=self.ttft_ms if decodes else None,
            tpot_ms=None,
            e2e_ms=age_ms,
            reason="",
        )

    @property
    def _before_it_begins(self) -> RequestState:
        return RequestState.WAITING if self.seen_inside else RequestState.UNSTARTED


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests that a moment can show, in no particular order.

    `left_out`: in the system as well, but there were too many to tell of each; `None` where that
    is not known.
    """

    rows: tuple[RequestRow, ...] = ()
    left_out: int | None = None
    inspected: str | None = None
    """The key of the request whose timeline was asked for."""
    timeline: RequestTimeline | None = None
    """What is known of it, once that was told."""


NO_REQUESTS = Requests()


class RequestBook:
    """Takes in what the worker tells of requests. Bounded: old ones are forgotten."""

    def __init__(self, kept: int = KEPT_REQUESTS) -> None:
        self._ended: deque[RequestRow] = deque(maxlen=kept)
        self._live: tuple[RequestRow, ...] = ()
        self._left_out = 0
        self._worker = 1
        self._inspected: str | None = None
        self._timeline: RequestTimeline | None = None

    def on_live(self, told: RequestsInSystem, wall_of: Callable[[float], float]) -> None:
        """Those in the system now; `wall_of` leads from the worker's clock to the history's."""
        gone = {row.key for row in self._ended}
        rows = (_live_row(self._worker, each, told.at_s, wall_of) for each in told.requests)
        self._live = tuple(row for row in rows if row.key not in gone)
        self._left_out = told.running + told.waiting - len(told.requests)

    def on_finished(
        self, requests: list[FinishedRequest], wall_of: Callable[[float], float]
    ) -> None:
        """Requests ended."""
        rows = [_ended_row(self._worker, each, wall_of(each.arrival_at_s)) for each in requests]
        self._ended.extend(rows)
        gone = {row.key for row in rows}
        self._live = tuple(row for row in self._live if row.key not in gone)

    def on_worker_died(self) -> None:
        """Those in its system have failed; another worker counts from zero."""
        self._ended.extend(
            replace(row, state=RequestState.FAILED, reason=WORKER_DIED) for row in self._live
        )
        self._live, self._left_out = (), 0
        self._worker += 1

    def inspect(self, key: str | None) -> int | None:
        """Look at one request, or at none; returns the id to ask the worker for, if it has it."""
        if key != self._inspected:
            self._inspected, self._timeline = key, None
        if key is None:
            return None
        worker, request_id = map(int, key.split("."))
        if worker == self._worker:
            return request_id
        self._timeline = RequestTimeline(request_id=request_id, state=None, at_s=0.0)
        return None

    def on_timeline(self, told: RequestTimeline) -> None:
        """The worker's answer; one to an earlier question is passed over."""
        if self._inspected == f"{self._worker}.{told.request_id}":
            self._timeline = told

    def now(self) -> Requests:
        """All that is known."""
        rows = (*self._ended, *self._live)
        return Requests(rows, self._left_out, self._inspected, self._timeline)

    def at(self, wall_s: float) -> Requests:
        """What was known at an earlier moment, as far as those requests are still remembered."""
        rows = tuple(row.as_of(wall_s) for row in self.now().rows if row.arrival_s <= wall_s)
        return Requests(rows, None, self._inspected, self._timeline)


def _live_row(
    worker: int, told: LiveRequest, at_s: float, wall_of: Callable[[float], float]
) -> RequestRow:
    age_ms = (at_s - told.arrival_at_s) * 1e3
    tpot_ms = None
    if told.ttft_ms is not None and told.output_tokens is not None and told.output_tokens > 1:
        tpot_ms = (age_ms - told.ttft_ms) / (told.output_tokens - 1)
    return RequestRow(
        worker=worker,
        request_id=told.request_id,
        state=told.state,
        arrival_s=wall_of(told.arrival_at_s),
        prompt_tokens=told.prompt_tokens,
        output_tokens=told.output_tokens,
        max_tokens=told.max_tokens,
        cached_tokens=told.cached_prompt_tokens,
        queue_ms=told.queue_ms,
        ttft_ms=told.ttft_ms,
        tpot_ms=tpot_ms,
        e2e_ms=age_ms,
        preemptions=told.preemptions,
        seen_inside=told.queue_ms is not None or told.state not in _SEEN_OUTSIDE,
    )


def _ended_row(worker: int, told: FinishedRequest, arrival_s: float) -> RequestRow:
    return RequestRow(
        worker=worker,
        request_id=told.request_id,
        state=RequestState.FAILED if told.failed else RequestState.FINISHED,
        arrival_s=arrival_s,
        prompt_tokens=told.prompt_tokens,
        output_tokens=told.output_tokens,
        cached_tokens=told.cached_prompt_tokens,
        queue_ms=told.queue_ms,
        ttft_ms=told.ttft_ms,
        tpot_ms=told.tpot_ms,
        e2e_ms=told.e2e_ms,
        reason=told.finish_reason,
        preemptions=told.preemptions,
        from_response_cache=told.from_response_cache,
        seen_inside=told.strategy is not None,
    )
