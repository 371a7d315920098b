"""Every figure of the engine in one place: engine and worker report events, frames read figures."""

from ..protocol import (
    Accounting,
    Queue,
)
from .effect import SwitchTracker
from .hits import HitMeter
from .latency import LatencyWindows, RequestLatency, Timed, request_latency
from .latency_counts import LatencyCounter
from .limits import LimitMeter
from .little import LittleMeter
from .throughput import ThroughputMeter
from .windows import WindowedCounter

DRAFTS_SPAN_S = 10.0
"""Over which the acceptance of drafts is taken."""


class Metrics:
    """The measurements of one session, or of one cell of a bench, since `start_s`.

    Events of requests and steps come here and go on to each meter they concern; events and figures
    of one meter alone are that meter's. All times are on the engine's monotonic clock, in seconds.
    """

    def __init__(self, start_s: float) -> None:
        self._submitted = 0
        self._finished = 0
        self._failed = 0
        self._generated = 0
        self.throughput = ThroughputMeter(start_s)
        self.latency = LatencyWindows()
        self.latency_counts = LatencyCounter()
        self.latency_counts_since_switch = LatencyCounter()
        self._little = LittleMeter(start_s)
        self.hits = HitMeter(start_s)
        self._drafted = WindowedCounter(start_s, capacity_s=DRAFTS_SPAN_S)
        self._accepted_drafts = WindowedCounter(start_s, capacity_s=DRAFTS_SPAN_S)
        self.switches = SwitchTracker(start_s)
        self.limits = LimitMeter(start_s)

    def on_submitted(self, now_s: float, arrival_at_s: float | None = None) -> None:
        """A request is in the system, since `arrival_at_s` if that was before it was noticed."""
        self._submitted += 1
        self.throughput.on_arrival(now_s)
        self._little.on_arrival(now_s, arrival_at_s)

    def on_step(
        self,
        now_s: float,
        *,
        prefill_tokens: int = 0,
        decode_tokens: int = 0,
        cached_tokens: int = 0,
        rows: int = 0,
        ghost_rows: int = 0,
        bytes_read: float = 0.0,
        flops: float = 0.0,
        device_s: float = 0.0,
    ) -> None:
        """A step of the engine ended.

        `prefill_tokens`: prompt tokens computed, again after a preemption. `decode_tokens`: tokens
        generated, the first of a request included. `cached_tokens`: prompt tokens that requests
        scheduled in this step took from the prefix cache. `rows`: sequences in the batch,
        `ghost_rows` of them finished before. `bytes_read`, `flops`: from `roofline.step_bytes` and
        `step_flops`. `device_s`: how long the device worked on it.
        """
        self.throughput.on_step(
            now_s,
            prefill_tokens=prefill_tokens,
            decode_tokens=decode_tokens,
            cached_tokens=cached_tokens,
            rows=rows,
            ghost_rows=ghost_rows,
        )
        self._generated += decode_tokens
        self.switches.on_decode(decode_tokens, now_s)
        self.limits.on_step(now_s, bytes_read=bytes_read, flops=flops, device_s=device_s)

    def on_drafts(self, drafted: int, accepted: int, now_s: float) -> None:
        """A step verified `drafted` tokens, of which `accepted` were what was sampled."""
        self._drafted.add(drafted, now_s)
        self._accepted_drafts.add(accepted, now_s)

    def on_finished(
        self, request: Timed, now_s: float, *, from_response_cache: bool = False
    ) -> RequestLatency:
        """A request ended as it should; its latencies are returned.

        Raises ValueError where more requests end than were submitted.
        """
        self._leave(now_s, request.arrival_at_s)
        self._finished += 1
        cached_tokens = request.num_output_tokens if from_response_cache else 0
        self.throughput.on_ended(now_s, cached_tokens=cached_tokens)
        latency = request_latency(request, now_s, from_response_cache=from_response_cache)
        self.latency.record(latency, now_s, request.arrival_at_s)
        self.latency_counts.record(latency)
        if self.latency.is_since_switch(request.arrival_at_s):
            self.latency_counts_since_switch.record(latency)
        self.switches.on_ended(latency, request.arrival_at_s, now_s)
        return latency

    def on_failed(self, now_s: float, arrival_at_s: float | None = None) -> None:
        """A request ended without its answer: it counts as failed and has no latency.

        Raises ValueError where more requests end than were submitted.
        """
        self._leave(now_s, now_s if arrival_at_s is None else arrival_at_s)
        self._failed += 1

    def on_switch(
        self, kind: str, old: str, new: str, now_s: float, began_at_s: float | None = None
    ) -> None:
        """A switch took effect that was begun at `began_at_s`: see `SwitchTracker.on_switch`."""
        self.switches.on_switch(kind, old, new, now_s, began_at_s)
        self.latency.on_switch(now_s)
        self.latency_counts_since_switch = LatencyCounter()
        self.hits.on_switch()

    def draft_acceptance(self, now_s: float, span_s: float = DRAFTS_SPAN_S) -> float | None:
        """Accepted drafts over drafts in the last `span_s`; `None` where there were none."""
        drafted, _ = self._drafted.over(span_s, now_s)
        accepted, _ = self._accepted_drafts.over(span_s, now_s)
        return accepted / drafted if drafted else None

    def queue(self, now_s: float, *, running: int, waiting: int, preemptions: int = 0) -> Queue:
        """The scheduler's counts beside Little's law over the last ten seconds."""
        return Queue(
            running=running,
            waiting=waiting,
            mean_in_system=self._little.mean_in_system(now_s),
            arrival_rate_times_residence=self._little.rate_times_residence(now_s),
            preemptions=preemptions,
        )

    def accounting(self) -> Accounting:
        """Where every request went: submitted = finished + failed + in system."""
        return Accounting(
            submitted=self._submitted,
            finished=self._finished,
            failed=self._failed,
            in_system=self.in_system,
        )

    @property
    def in_system(self) -> int:
        """Requests submitted and not yet ended."""
        return self._submitted - self._finished - self._failed

    @property
    def generated_tokens_total(self) -> int:
        """Tokens generated since the start, without those that a cache gave."""
        return self._generated

    def _leave(self, now_s: float, arrival_at_s: float) -> None:
        if not self.in_system:
            raise ValueError("more requests ended than were submitted")
        self._little.on_departure(now_s, now_s - arrival_at_s)
