"""Every figure of the engine in one place: engine and worker report events, frames read figures."""

import math
from collections import Counter
from collections.abc import Sequence

from ..protocol import WINDOW_SECONDS, Accounting, Queue, Refusal, SloSpec, Window
from .admission import AdmissionMeter
from .attainment import AttainmentMeter
from .effect import SwitchTracker
from .exported import Exported, Served
from .hits import HitMeter
from .latency import LatencyWindows, RequestLatency, request_latency
from .latency_counts import LatencyCounter
from .limits import LimitMeter
from .little import LittleMeter
from .pauses import Pauses
from .steadiness import unsteady
from .throughput import ThroughputMeter
from .trend import Trend
from .usage import UsageMeter
from .windows import WindowedCounter, mark_counters

DRAFTS_SPAN_S = 10.0
"""Over which the acceptance of drafts is taken."""

MOST_REASONS = 8
"""So many reasons of refusal are counted apart."""
OTHER_REASONS = "other reasons"


class Metrics:
    """The measurements of one session, or of one cell of a bench, since `start_s`.

    Events of requests and steps come here and go on to each meter they concern; events and figures
    of one meter alone are that meter's. All times are on the engine's monotonic clock, in seconds.
    """

    def __init__(self, start_s: float) -> None:
        self._submitted = 0
        self._finished = 0
        self._failed = 0
        self._rejected = 0
        self._refused: Counter[str] = Counter()
        self._generated = 0
        self.exported = Exported()
        self.throughput = ThroughputMeter(start_s)
        self.latency = LatencyWindows()
        self.latency_counts = LatencyCounter()
        self.latency_counts_since_switch = LatencyCounter()
        self._pauses = Pauses(start_s)
        self._little = LittleMeter(start_s, self._pauses)
        self.hits = HitMeter(start_s)
        self._drafted = WindowedCounter(start_s, capacity_s=DRAFTS_SPAN_S)
        self._accepted_drafts = WindowedCounter(start_s, capacity_s=DRAFTS_SPAN_S)
        self.switches = SwitchTracker(start_s)
        self.limits = LimitMeter(start_s)
        self.usage = UsageMeter(start_s)
        self.admission = AdmissionMeter(start_s)
        self.attainment = AttainmentMeter(start_s, SloSpec())
        self._waiting = Trend()
        self._switched_at_s: float | None = None

    def on_submitted(
        self, now_s: float, arrival_at_s: float | None = None, request: Served | None = None
    ) -> None:
        """A request is in the system, since `arrival_at_s` if that was before it was noticed.

        `request` is followed until it ends: what it has waited counts before that.
        """
        self._on_alive(now_s)
        self._submitted += 1
        self.exported.on_submitted()
        self.throughput.on_arrival(now_s)
        self._little.on_arrival(now_s, arrival_at_s)
        self.switches.on_arrival(now_s if arrival_at_s is None else arrival_at_s, now_s, request)

    def on_memory(self, used_bytes: int, now_s: float) -> None:
        """The engine's process holds `used_bytes` on its device: report it with every frame."""
        self._on_alive(now_s)
        self.switches.on_memory(used_bytes, now_s)

    def on_energy(self, counter_j: float | None, now_s: float) -> None:
        """The card's counter of joules was read, or there is none."""
        self.exported.on_energy(self.usage.on_energy(counter_j, now_s))

    def on_switch(self, kind: str, old: str, new: str, now_s: float, began_at_s: float) -> None:
        """A switch took effect that was begun at `began_at_s`, and nothing was served meanwhile."""
        self._pauses.add(began_at_s, now_s)
        self.exported.on_switch()
        self.switches.on_switch(kind, old, new, now_s, began_at_s)
        self.latency.on_switch(now_s)
        self.latency_counts_since_switch = LatencyCounter()
        self.hits.on_switch()
        self._switched_at_s = now_s
        for meter in (self.throughput, self.limits, self.usage, self.admission, self.attainment):
            mark_counters(meter, now_s)

    def on_preparing(self, began_at_s: float, now_s: float) -> None:
        """Since `began_at_s` something was made ready that will serve in place of what does, and no
        step was computed."""
        self.limits.on_compiled(now_s - began_at_s, now_s)
        self.switches.on_preparing(now_s)

    def spans_s(self, now_s: float) -> dict[Window, float]:
        """How long each window is now; before a first switch, that since it is the session."""
        since_s = math.inf if self._switched_at_s is None else now_s - self._switched_at_s
        return {window: WINDOW_SECONDS.get(window, since_s) for window in Window}

    def on_rejected(self, number: int, now_s: float) -> None:
        """Requests came and found the queue full: they are in no other figure than this count."""
        self._rejected += number
        self.exported.on_rejected(number)
        self.throughput.on_rejected(number, now_s)

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
        prefill_device_s = self.usage.on_step(
            now_s, device_s=device_s, prefill_tokens=prefill_tokens, decode_tokens=decode_tokens
        )
        self.exported.on_step(
            prefill_tokens=prefill_tokens,
            decode_tokens=decode_tokens,
            rows=rows,
            ghost_rows=ghost_rows,
            bytes_read=bytes_read,
            flops=flops,
            device_s=device_s,
            prefill_device_s=prefill_device_s,
        )
        self._generated += decode_tokens
        self.switches.on_decode(decode_tokens, now_s)
        self.limits.on_step(now_s, bytes_read=bytes_read, flops=flops, device_s=device_s)

    def on_drafts(self, drafted: int, accepted: Sequence[int], now_s: float, *, texts: int) -> None:
        """A step verified `drafted` tokens of so many texts; `accepted` of each sequence of the
        batch were what was sampled."""
        self._drafted.add(drafted, now_s)
        self._accepted_drafts.add(sum(accepted), now_s)
        self.exported.on_drafts(drafted, accepted, texts=texts)

    def on_prefix_lookup(self, hit_tokens: int, queried_tokens: int, now_s: float) -> None:
        """Prompts were looked up in the prefix cache (`HitMeter.on_prefix_lookup`), or none was."""
        if queried_tokens:
            self.hits.on_prefix_lookup(hit_tokens, queried_tokens, now_s)
            self.exported.on_prefix_lookup(hit_tokens, queried_tokens)

    def on_response_lookup(self, hit: bool, now_s: float) -> None:
        """A request was looked up in the response cache."""
        self.hits.on_response_lookup(hit, now_s)
        self.exported.on_response_lookup(hit)

    def on_plan(
        self, refusal: Refusal | None, preempted: int, now_s: float, *, empty: bool = False
    ) -> None:
        """A step was planned (`AdmissionMeter.on_plan`), or, if `empty`, none was possible."""
        if not empty:
            self.admission.on_plan(refusal, preempted, now_s)
        self.exported.on_preempted(preempted, by_switch=False)

    def on_preempted_by_switch(self, preempted: Sequence[object], now_s: float) -> None:
        """A switch sent running requests back to the queue."""
        self.admission.on_switch(preempted, now_s)
        self.exported.on_preempted(len(preempted), by_switch=True)

    def on_finished(
        self, request: Served, now_s: float, *, from_response_cache: bool = False
    ) -> RequestLatency:
        """A request ended as it should; its latencies are returned.

        Raises ValueError where more requests end than were submitted.
        """
        self._on_alive(now_s)
        self._leave(now_s, request.arrival_at_s)
        self._finished += 1
        cached_tokens = request.num_output_tokens if from_response_cache else 0
        self.throughput.on_ended(now_s, cached_tokens=cached_tokens)
        latency = request_latency(request, now_s, from_response_cache=from_response_cache)
        self.exported.on_finished(request, latency, from_response_cache=from_response_cache)
        self.latency.record(latency, now_s, request.arrival_at_s)
        self.latency_counts.record(latency)
        if self.latency.is_since_switch(request.arrival_at_s):
            self.latency_counts_since_switch.record(latency)
        self.attainment.on_finished(latency, now_s)
        self.switches.on_finished(request, latency, now_s)
        return latency

    def on_failed(
        self, now_s: float, arrival_at_s: float | None = None, request: Served | None = None
    ) -> None:
        """A request ended without its answer: it counts as failed and has no latency.

        Raises ValueError where more requests end than were submitted.
        """
        self._on_alive(now_s)
        self._leave(now_s, now_s if arrival_at_s is None else arrival_at_s)
        self._failed += 1
        self.exported.on_failed(request)
        self.attainment.on_failed(now_s)
        self.switches.on_failed(now_s, request)

    def on_refused(self, now_s: float, arrival_at_s: float, reason: str) -> None:
        """A request was refused before it could be queued: it counts as submitted and failed."""
        self.on_submitted(now_s, arrival_at_s)
        self.on_failed(now_s, arrival_at_s)
        self.exported.on_refused()
        if reason not in self._refused and len(self._refused) >= MOST_REASONS:
            reason = OTHER_REASONS
        self._refused[reason] += 1

    def draft_acceptance(self, now_s: float, span_s: float = DRAFTS_SPAN_S) -> float | None:
        """Accepted drafts over drafts in the last `span_s`; `None` where there were none."""
        drafted, _ = self._drafted.over(span_s, now_s)
        accepted, _ = self._accepted_drafts.over(span_s, now_s)
        return accepted / drafted if drafted else None

    def queue(
        self,
        now_s: float,
        *,
        running: int,
        waiting: int,
        preemptions: int = 0,
        running_limit: int | None = None,
        oldest_unstarted_at_s: float | None = None,
    ) -> Queue:
        """The scheduler's counts beside Little's law over the last ten seconds.

        `oldest_unstarted_at_s` is when the oldest request without a token arrived. The trend of
        the waiting ones is that of the calls: ask for every frame.
        """
        self._waiting.add(waiting, now_s)
        in_system = self._little.mean_in_system(now_s)
        rate_times_residence = self._little.rate_times_residence(now_s)
        return Queue(
            running=running,
            waiting=waiting,
            mean_in_system=in_system,
            arrival_rate_times_residence=rate_times_residence,
            unsteady=unsteady(in_system, rate_times_residence),
            preemptions=preemptions,
            running_limit=running_limit,
            mean_waiting=self._waiting.mean,
            waiting_per_s=self._waiting.per_s(),
            oldest_unstarted_s=(
                None if oldest_unstarted_at_s is None else max(0.0, now_s - oldest_unstarted_at_s)
            ),
        )

    def accounting(self) -> Accounting:
        """Where every request went: submitted = finished + failed + in system; rejected ones were
        never submitted."""
        return Accounting(
            submitted=self._submitted,
            finished=self._finished,
            failed=self._failed,
            in_system=self.in_system,
            rejected=self._rejected,
            refused=dict(self._refused),
        )

    @property
    def in_system(self) -> int:
        """Requests submitted and not yet ended."""
        return self._submitted - self._finished - self._failed

    @property
    def generated_tokens_total(self) -> int:
        """Tokens generated since the start, without those that a cache gave."""
        return self._generated

    def _on_alive(self, now_s: float, *, stepped: bool = False) -> None:
        """Before anything else of an event: it may be the first one after a pause."""
        began_s = self._pauses.on_alive(now_s, stepped=stepped)
        if began_s is not None:
            self.switches.on_pause(began_s, now_s)

    def _leave(self, now_s: float, arrival_at_s: float) -> None:
        if not self.in_system:
            raise ValueError("more requests ended than were submitted")
        self._little.on_departure(now_s, now_s - arrival_at_s)
