"""What the worker tells of single requests: those in the system, those that ended, one in full.

Bounded in all it keeps and in all it sends, however many requests come.
"""

from collections import OrderedDict
from collections.abc import Sequence

from ..metrics.request_timeline import condensed, intervals, longest_gap, microseconds, token_counts
from ..metrics.told_requests import KEPT_TIMELINES, both_ends, finished_sample
from ..protocol import (
    REQUESTS_INTERVAL_S,
    FinishedRequest,
    LiveRequest,
    Message,
    RequestsInSystem,
    RequestState,
    RequestTimeline,
)
from ..serving.engine import Engine
from ..serving.request import Completion, Request, Status
from .figures import finished_request


class RequestLog:
    """Keeps the timelines of the last requests that ended, and reports on requests."""

    def __init__(self, engine: Engine, kept: int = KEPT_TIMELINES) -> None:
        self._engine = engine
        self._kept_most = kept
        self._kept: OrderedDict[int, RequestTimeline] = OrderedDict()
        self._ended: list[FinishedRequest] = []
        self._inspected: int | None = None
        self._due_s = float("-inf")
        self._empty_told = False

    def on_completions(self, completions: Sequence[Completion]) -> None:
        """Requests ended: keep their timelines, and what the next report says of them."""
        now_s = self._engine.clock()
        for completion in completions:
            request = completion.request
            finished = finished_request(completion, self._engine, now_s)
            self._ended.append(finished)
            state = RequestState.FAILED if finished.failed else RequestState.FINISHED
            last_at_s = request.last_token_at_s
            # As E2E: of an answer it ends with the last token, of a failure when it failed.
            end_s = now_s if finished.failed or last_at_s is None else last_at_s
            self._kept[request.request_id] = timeline(request, state, end_s)
        while len(self._kept) > self._kept_most:
            self._kept.popitem(last=False)

    def inspect(self, request_id: int | None) -> None:
        """Report the timeline of one request from now on, until it has ended."""
        self._inspected = request_id
        self._due_s = float("-inf")

    def reports(self) -> list[Message]:
        """What is to be sent now, beside a frame."""
        reports: list[Message] = []
        if self._ended:
            ended, self._ended = self._ended, []
            reports.append(finished_sample(ended))
        now_s = self._engine.clock()
        if now_s >= self._due_s:
            self._due_s = now_s + REQUESTS_INTERVAL_S
            reports += self._in_system(now_s)
            if self._inspected is not None:
                reports.append(self._look_at(self._inspected, now_s))
        return reports

    def _in_system(self, now_s: float) -> list[Message]:
        """Those in the system; that there are none is said once."""
        scheduler = self._engine.scheduler
        running, waiting = scheduler.running, scheduler.waiting
        empty = not running and not waiting
        if empty and self._empty_told:
            return []
        self._empty_told = empty
        shown = (*both_ends(running), *both_ends(waiting))
        return [
            RequestsInSystem(
                at_s=now_s,
                running=len(running),
                waiting=len(waiting),
                requests=[live_request(request) for request in shown],
            )
        ]

    def _look_at(self, request_id: int, now_s: float) -> RequestTimeline:
        request = self._engine.scheduler.find(request_id)
        if request is not None:
            return timeline(request, state_of(request), now_s)
        self._inspected = None
        kept = self._kept.get(request_id)
        return kept or RequestTimeline(request_id=request_id, state=None, at_s=now_s)


def state_of(request: Request) -> RequestState:
    """Where a request in the system is."""
    if request.status is Status.WAITING:
        return RequestState.PREEMPTED if request.preemptions else RequestState.WAITING
    # What is yet to be computed of a decoding request is its newest token alone, if that.
    prefills = len(request.tokens) + request.num_pending - request.num_computed > 1
    first = not request.num_output_tokens
    return RequestState.PREFILL if prefills or first else RequestState.DECODE


def live_request(request: Request) -> LiveRequest:
    """A request in the system, as far as it has come."""
    queue_s = _since(request.queued_at_s, request.scheduled_at_s)
    ttft_s = _since(request.arrival_at_s, request.first_token_at_s)
    return LiveRequest(
        request_id=request.request_id,
        state=state_of(request),
        arrival_at_s=request.arrival_at_s,
        prompt_tokens=len(request.prompt_tokens),
        output_tokens=request.num_output_tokens,
        max_tokens=request.max_tokens,
        cached_prompt_tokens=request.cached_prompt_tokens,
        queue_ms=None if queue_s is None else queue_s * 1e3,
        ttft_ms=None if ttft_s is None else ttft_s * 1e3,
        preemptions=request.preemptions,
    )


def timeline(request: Request, state: RequestState, end_s: float) -> RequestTimeline:
    """All that is known of a request, its time cut into intervals up to `end_s`."""
    gap = longest_gap(request)
    first_at_s = request.first_token_at_s
    return RequestTimeline(
        request_id=request.request_id,
        state=state,
        at_s=end_s,
        e2e_us=microseconds(request, end_s),
        first_token_us=None if first_at_s is None else microseconds(request, first_at_s),
        intervals=condensed(intervals(request, end_s)),
        token_counts=token_counts(request, end_s),
        longest_gap_us=None if gap is None else round(gap[1] * 1e6),
        longest_gap_start_us=None if gap is None else microseconds(request, gap[0]),
        waiting_ahead=request.waiting_ahead,
        prompt_tokens=len(request.prompt_tokens),
        output_tokens=request.num_output_tokens,
        max_tokens=request.max_tokens,
        cached_prompt_tokens=request.cached_prompt_tokens,
        finish_reason=request.finish_reason,
    )


def _since(start_s: float | None, end_s: float | None) -> float | None:
    return None if start_s is None or end_s is None else end_s - start_s
