"""What the engine exports: counts since its start, which never fall, and histograms that only grow.

The events of `Metrics` arrive here. Tokens are read off the requests themselves: of those that run
every few thousand tokens and whenever somebody asks, of the others at their end. So a gap between
two tokens counts while its request still runs, and costs nothing in the step that it ended with.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

import numpy as np

from ..protocol.served import ExportedHistogram, FinishReason
from .export_buckets import RAW_BOUNDS
from .export_histogram import ExportHistogram
from .finish_reason import finish_reason
from .latency import RequestLatency, Timed

COUNTERS: Final = (
    "requests_submitted",
    "requests_refused",
    "requests_rejected",
    "prompt_tokens",
    "prompt_tokens_computed",
    "prompt_tokens_cached",
    "generation_tokens",
    "response_cache_tokens",
    "prefill_tokens",
    "steps",
    "rows",
    "ghost_rows",
    "device_seconds",
    "flops",
    "read_bytes",
    "prefix_queried_tokens",
    "prefix_hit_tokens",
    "response_lookups",
    "response_hits",
    "draft_tokens",
    "accepted_draft_tokens",
    "preemptions_kv_blocks",
    "preemptions_switch",
    "switches",
)

MOST_UNREAD_TOKENS: Final = 4096
"""After so many tokens the running requests are read: 0.3 ms of work."""

FINISH_REASONS: Final[tuple[FinishReason, ...]] = ("stop", "length", "abort", "error")


class Served(Timed, Protocol):
    """What is exported of a request, beside its latencies."""

    @property
    def num_prompt_tokens(self) -> int: ...
    @property
    def cached_prompt_tokens(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def finish_reason(self) -> str | None: ...


class Counted(NamedTuple):
    """All that was counted: by name, by histogram, and ended requests by finish reason."""

    counters: dict[str, float]
    histograms: dict[str, ExportedHistogram]
    by_reason: dict[str, int]


@dataclass(slots=True, eq=False)
class _Followed:
    """A request in the system, and how many of its tokens were counted."""

    request: Served
    read_tokens: int = 0


class Exported:
    """Counts by the names of `COUNTERS`, and histograms by those of `RAW_BOUNDS`.

    Times are in seconds. Of requests that ended well alone: all histograms but those of the first
    token (`ttft`), of gaps (`itl`, `output_gap`) and of steps (`step_tokens`).
    """

    def __init__(self) -> None:
        self._counters: dict[str, float] = dict.fromkeys(COUNTERS, 0)
        self._histograms = {name: ExportHistogram(bounds) for name, bounds in RAW_BOUNDS.items()}
        self._by_reason: Counter[FinishReason] = Counter()
        self._in_flight: dict[int, _Followed] = {}
        self._unread_tokens = 0
        self._gaps_s: list[float] = []

    def counted(self) -> Counted:
        """Everything as it is now, the tokens of running requests included."""
        self._read_all()
        return Counted(
            counters=dict(self._counters),
            histograms={name: each.exported() for name, each in self._histograms.items()},
            by_reason={reason: self._by_reason[reason] for reason in FINISH_REASONS},
        )

    def on_submitted(self, request: Served | None) -> None:
        """A request is in the system; it is followed until it ends."""
        self._counters["requests_submitted"] += 1
        if request is not None:
            self._in_flight[id(request)] = _Followed(request)

    def on_refused(self) -> None:
        """The engine cannot take a request, which was counted as submitted."""
        self._counters["requests_refused"] += 1

    def on_rejected(self, number: int) -> None:
        """So many requests found the queue full, and were never submitted."""
        self._counters["requests_rejected"] += number

    def on_step(
        self,
        *,
        prefill_tokens: int,
        decode_tokens: int,
        rows: int,
        ghost_rows: int,
        bytes_read: float,
        flops: float,
        device_s: float,
    ) -> None:
        """A step ended: see `Metrics.on_step`."""
        counters = self._counters
        counters["steps"] += 1
        counters["prefill_tokens"] += prefill_tokens
        counters["generation_tokens"] += decode_tokens
        counters["rows"] += rows
        counters["ghost_rows"] += ghost_rows
        counters["read_bytes"] += bytes_read
        counters["flops"] += flops
        counters["device_seconds"] += device_s
        self._histograms["step_tokens"].add(prefill_tokens + decode_tokens)
        self._unread_tokens += decode_tokens
        if self._unread_tokens >= MOST_UNREAD_TOKENS:
            self._read_all()

    def on_drafts(self, drafted: int, accepted: int) -> None:
        """A step verified `drafted` tokens, and kept `accepted` of them."""
        self._counters["draft_tokens"] += drafted
        self._counters["accepted_draft_tokens"] += accepted

    def on_prefix_lookup(self, hit_tokens: int, queried_tokens: int) -> None:
        """Prompts of `queried_tokens` were looked up; `hit_tokens` of them were in the cache."""
        self._counters["prefix_hit_tokens"] += hit_tokens
        self._counters["prefix_queried_tokens"] += queried_tokens

    def on_response_lookup(self, hit: bool) -> None:
        """A request was looked up in the response cache."""
        self._counters["response_lookups"] += 1
        self._counters["response_hits"] += hit

    def on_preempted(self, number: int, *, by_switch: bool) -> None:
        """So many requests lost their KV blocks, to older ones or to a switch."""
        self._counters["preemptions_switch" if by_switch else "preemptions_kv_blocks"] += number

    def on_switch(self) -> None:
        """A switch took effect."""
        self._counters["switches"] += 1

    def on_finished(
        self, request: Served, latency: RequestLatency, *, from_response_cache: bool
    ) -> None:
        """A request ended as it should."""
        self._leave(request)
        if from_response_cache:
            self._counters["response_cache_tokens"] += request.num_output_tokens
        elif request.first_token_at_s is None:
            # Asked for no token, but for what the model says of the prompt.
            self._count_prompt(request)
        self._by_reason[finish_reason(request.finish_reason, failed=False)] += 1
        self._observe("e2e", latency.e2e_s)
        self._observe("ttft_finished", latency.ttft_s)
        self._observe("tpot", latency.tpot_s)
        self._observe("queue", latency.queue_s)
        self._observe("prompt_tokens", request.num_prompt_tokens)
        self._observe("generation_tokens", request.num_output_tokens)
        self._observe("max_tokens", request.max_tokens)
        if not from_response_cache:
            scheduled_s, first_s = request.scheduled_at_s, request.first_token_at_s
            last_s = request.last_token_at_s
            self._observe("prefill", _between(scheduled_s, first_s))
            self._observe("decode", _between(first_s, last_s))
            self._observe("inference", _between(scheduled_s, last_s))

    def on_failed(self, request: Served | None) -> None:
        """A request ended without its answer; one that was refused has none."""
        if request is None:
            return
        self._leave(request)
        self._by_reason[finish_reason(request.finish_reason, failed=True)] += 1

    def _observe(self, name: str, value: float | None) -> None:
        if value is not None:
            self._histograms[name].add(value)

    def _leave(self, request: Served) -> None:
        """Count what a request that ended got since it was read last."""
        followed = self._in_flight.pop(id(request), None)
        if followed is not None:
            self._read(followed)

    def _read_all(self) -> None:
        for followed in self._in_flight.values():
            if len(followed.request.token_times_s) > followed.read_tokens:
                self._read(followed)
        gaps_s, self._gaps_s = np.array(self._gaps_s, dtype=np.float64), []
        self._histograms["itl"].add_many(gaps_s)
        # Accepted drafts come with the token before them: one output, after one gap.
        self._histograms["output_gap"].add_many(gaps_s[gaps_s > 0.0])
        self._unread_tokens = 0

    def _read(self, followed: _Followed) -> None:
        """Count the gaps before a request's new tokens, and its prompt with the first of them."""
        request, read = followed.request, followed.read_tokens
        times_s = request.token_times_s
        if not read and times_s:
            self._histograms["ttft"].add(times_s[0] - request.arrival_at_s)
            self._count_prompt(request)
        new = times_s[max(read - 1, 0) :]
        self._gaps_s += [later - earlier for earlier, later in pairwise(new)]
        followed.read_tokens = len(times_s)

    def _count_prompt(self, request: Served) -> None:
        cached, counters = request.cached_prompt_tokens, self._counters
        counters["prompt_tokens"] += request.num_prompt_tokens
        counters["prompt_tokens_cached"] += cached
        counters["prompt_tokens_computed"] += request.num_prompt_tokens - cached


def _between(start_s: float | None, end_s: float | None) -> float | None:
    return None if start_s is None or end_s is None else end_s - start_s
