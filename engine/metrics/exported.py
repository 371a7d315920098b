"""What the engine exports: counts since its start, which never fall, and histograms that only grow.

The events of `Metrics` arrive here. A gap between two tokens counts in the step that it ends with,
while its request still runs. The requests of a step have few different gaps, most of them the time
since the step before: each is looked up once, so that a step of 256 tokens costs some 20 µs.
"""

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

from ..protocol.bounds import SPECULATION_BOUNDS
from ..protocol.served import ExportedHistogram, FinishReason
from .export_buckets import RAW_BOUNDS
from .export_histogram import ExportHistogram
from .finish_reason import finish_reason
from .latency import RequestLatency, Timed

MOST_DRAFTS: Final = int(SPECULATION_BOUNDS["drafts"].most)


def accepted_at(position: int) -> str:
    """The counter of drafted tokens that were accepted at a position of their draft, from 0."""
    return f"accepted_drafts_{position}"


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
    "prefill_device_seconds",
    "energy_joules",
    "flops",
    "read_bytes",
    "prefix_queried_tokens",
    "prefix_hit_tokens",
    "response_lookups",
    "response_hits",
    "drafts",
    "draft_tokens",
    "accepted_draft_tokens",
    *map(accepted_at, range(MOST_DRAFTS)),
    "preemptions_kv_blocks",
    "preemptions_switch",
    "switches",
)

FINISH_REASONS: Final[tuple[FinishReason, ...]] = ("stop", "length", "abort", "error")


class Served(Timed, Protocol):
    """What is exported of a request, beside its latencies."""

    @property
    def num_prompt_tokens(self) -> int: ...
    @property
    def cached_prompt_tokens(self) -> int: ...
    @property
    def last_gap_s(self) -> float | None: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def finish_reason(self) -> str | None: ...


class Counted(NamedTuple):
    """All that was counted: by name, by histogram, and ended requests by finish reason."""

    counters: dict[str, float]
    histograms: dict[str, ExportedHistogram]
    by_reason: dict[str, int]


_last_gap_s = attrgetter("last_gap_s")


class Exported:
    """Counts by the names of `COUNTERS`, and histograms by those of `RAW_BOUNDS`.

    Times are in seconds. Of requests that ended well alone: all histograms but those of the first
    token (`ttft`), of gaps (`itl`, `output_gap`) and of steps (`step_tokens`).
    """

    def __init__(self) -> None:
        self._counters: dict[str, float] = dict.fromkeys(COUNTERS, 0)
        self._histograms = {name: ExportHistogram(bounds) for name, bounds in RAW_BOUNDS.items()}
        self._by_reason: Counter[FinishReason] = Counter()

    def counted(self) -> Counted:
        """Everything as it is now."""
        return Counted(
            counters=dict(self._counters),
            histograms={name: each.exported() for name, each in self._histograms.items()},
            by_reason={reason: self._by_reason[reason] for reason in FINISH_REASONS},
        )

    def on_submitted(self) -> None:
        """A request is in the system, or was refused."""
        self._counters["requests_submitted"] += 1

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
        prefill_device_s: float,
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
        counters["prefill_device_seconds"] += prefill_device_s
        self._histograms["step_tokens"].add(prefill_tokens + decode_tokens)

    def on_energy(self, joules: float) -> None:
        """The card took so many joules more."""
        self._counters["energy_joules"] += joules

    def on_tokens(self, requests: Sequence[Served]) -> None:
        """A step brought a token to each of these; before its drafts are looked at."""
        gaps_s: Counter[float | None] = Counter(map(_last_gap_s, requests))
        itl, output_gap = self._histograms["itl"], self._histograms["output_gap"]
        for gap_s, number in gaps_s.items():
            if gap_s is None:
                self._on_first_tokens([each for each in requests if each.last_gap_s is None])
            else:
                itl.add(gap_s, number)
                output_gap.add(gap_s, number)

    def on_drafts(self, drafted: int, accepted: Sequence[int], *, texts: int) -> None:
        """A step verified `drafted` tokens of so many texts, and kept `accepted` of each sequence
        of the batch: they came with the token before them."""
        self._counters["drafts"] += texts
        self._counters["draft_tokens"] += drafted
        self._counters["accepted_draft_tokens"] += sum(accepted)
        self._histograms["itl"].add(0.0, sum(accepted))
        for length, number in Counter(accepted).items():
            for position in range(length):
                self._counters[accepted_at(position)] += number

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
            computed = request.num_prompt_tokens - request.cached_prompt_tokens
            self._observe("computed_prompt_tokens", computed)
            self._observe("prefill", _between(scheduled_s, first_s))
            self._observe("decode", _between(first_s, last_s))
            self._observe("inference", _between(scheduled_s, last_s))

    def on_failed(self, request: Served | None) -> None:
        """A request ended without its answer; one that was refused has none."""
        if request is not None:
            self._by_reason[finish_reason(request.finish_reason, failed=True)] += 1

    def _observe(self, name: str, value: float | None) -> None:
        if value is not None:
            self._histograms[name].add(value)

    def _on_first_tokens(self, requests: Sequence[Served]) -> None:
        for request in requests:
            self._observe("ttft", _between(request.arrival_at_s, request.first_token_at_s))
            self._count_prompt(request)

    def _count_prompt(self, request: Served) -> None:
        cached, counters = request.cached_prompt_tokens, self._counters
        counters["prompt_tokens"] += request.num_prompt_tokens
        counters["prompt_tokens_cached"] += cached
        counters["prompt_tokens_computed"] += request.num_prompt_tokens - cached


def _between(start_s: float | None, end_s: float | None) -> float | None:
    return None if start_s is None or end_s is None else end_s - start_s
