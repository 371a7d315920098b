"""What binds the engine: a lack of work, what the scheduler may run at once, the device, the host.

MBU and MFU are the work of the steps over the device's measured ceilings. The verdict's questions
are asked in the order in which an answer makes the later ones idle: an engine without work uses no
bandwidth, and a device that waits for its host is not at its limit either.
"""

from dataclasses import dataclass

from ..protocol import (
    RATE_SPAN_S,
    WINDOW_SECONDS,
    AdmissionCounts,
    Bound,
    PreemptionCause,
    Refusal,
    Roofline,
    Verdict,
    Window,
)
from .roofline import fraction_of_ceiling
from .windows import WindowedCounter, WindowedIntegral

NOTHING_PLANNED = AdmissionCounts()

_CAPACITY_S = WINDOW_SECONDS[Window.M5]

_ALWAYS = 0.9
"""From this share of time on, what is missing to the whole explains nothing."""

_MOSTLY = 0.5
"""What keeps requests waiting in so many of the steps is what they wait for."""

_NEAR = 0.3
"""Below this share of both ceilings, neither explains the time that a step takes."""

_SATURATED = 0.7
"""From this share of the matmul peak on, more sequences or tokens a step bring no more a second."""


class LimitMeter:
    """Counts the work of the steps and the time in which the device and the engine had any."""

    def __init__(self, start_s: float) -> None:
        self._bytes_read = WindowedCounter(start_s, capacity_s=_CAPACITY_S)
        self._flops = WindowedCounter(start_s, capacity_s=_CAPACITY_S)
        self._device_s = WindowedCounter(start_s, capacity_s=_CAPACITY_S)
        self._compiling_s = WindowedCounter(start_s, capacity_s=_CAPACITY_S)
        self._active = WindowedIntegral(start_s, capacity_s=_CAPACITY_S)

    def on_step(self, now_s: float, *, bytes_read: float, flops: float, device_s: float) -> None:
        """A step ended that the device worked on for `device_s`."""
        # A step of seconds is no burst at its end: the device worked on it all the while.
        began_s = now_s - device_s
        self._bytes_read.add_over(bytes_read, began_s, now_s)
        self._flops.add_over(flops, began_s, now_s)
        self._device_s.add_over(device_s, began_s, now_s)

    def on_active(self, active: bool, now_s: float) -> None:
        """From now on there are requests to compute, or none."""
        self._active.set_level(float(active), now_s)

    def on_compiled(self, duration_s: float, now_s: float) -> None:
        """Kernels were compiled, graphs captured or weights packed, and no step was computed."""
        self._compiling_s.add_over(duration_s, now_s - duration_s, now_s)

    def roofline(
        self,
        now_s: float,
        *,
        copy_bytes_per_s: float | None,
        matmul_flops_per_s: float | None,
        admission: AdmissionCounts = NOTHING_PLANNED,
        kv_used: float = 0.0,
        span_s: float = RATE_SPAN_S,
    ) -> Roofline:
        """MBU and MFU over the last `span_s`, and what follows; `None` without the ceilings.

        `admission` is what was counted over the same span, `kv_used` the share of KV blocks held.
        """
        mbu = fraction_of_ceiling(self._bytes_read.rate(span_s, now_s), copy_bytes_per_s)
        mfu = fraction_of_ceiling(self._flops.rate(span_s, now_s), matmul_flops_per_s)
        active, busy = self._active.mean(span_s, now_s), self._device_s.rate(span_s, now_s)
        # A step under way counts when it ends, and may have begun before the bin of the last one.
        busy = min(busy, 1.0)
        situation = Situation(
            active=active,
            busy=busy,
            mbu=mbu,
            mfu=mfu,
            compiling=min(self._compiling_s.rate(span_s, now_s), 1.0),
            admission=admission,
            kv_used=kv_used,
        )
        return Roofline(mbu=mbu, mfu=mfu, active=active, busy=busy, verdict=verdict(situation))


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a verdict is given over, as fractions of 1, all over the same time.

    `active` is the share of time in which a request ran, `busy` that in which the device worked,
    `compiling` that in which neither could; `None` before any time has passed. `mbu` and `mfu` are
    `None` without a measured ceiling. `kv_used` is the share of KV blocks that running requests
    hold.
    """

    active: float | None
    busy: float | None
    mbu: float | None
    mfu: float | None
    compiling: float = 0.0
    admission: AdmissionCounts = NOTHING_PLANNED
    kv_used: float = 0.0


def verdict(now: Situation) -> Verdict | None:
    """The bound and its share; `None` before anything was measured, and where only the device's
    ceilings could tell and they were not measured.
    """
    if now.compiling > 1.0 - _ALWAYS:
        return Verdict(bound=Bound.COMPILING, share=now.compiling)
    if now.active is None or now.busy is None:
        return None
    if now.active < _ALWAYS:
        return Verdict(bound=Bound.NO_WORK, share=1.0 - now.active)
    return _admission_verdict(now) or _device_verdict(now, now.active, now.busy)


def _admission_verdict(now: Situation) -> Verdict | None:
    """What keeps requests from running, if that is what more tokens a second lack."""
    counts = now.admission
    if PreemptionCause.KV_BLOCKS in counts.preempted:
        return Verdict(bound=Bound.KV_MEMORY, share=now.kv_used)
    if now.busy and now.mfu is not None and now.mfu / now.busy >= _SATURATED:
        return None
    if counts.refused_share(Refusal.KV_BLOCKS) >= _MOSTLY:
        return Verdict(bound=Bound.KV_MEMORY, share=now.kv_used)
    # A gang that is not refilled is a cap as well: the batch that runs.
    capped = counts.refused_share(Refusal.SEQUENCE_CAP) + counts.refused_share(Refusal.GANG)
    if capped >= _MOSTLY:
        return Verdict(bound=Bound.SEQUENCE_CAP, share=capped)
    cut = counts.refused_share(Refusal.TOKEN_BUDGET)
    return Verdict(bound=Bound.TOKEN_BUDGET, share=cut) if cut >= _MOSTLY else None


def _device_verdict(now: Situation, active: float, busy: float) -> Verdict | None:
    working = min(busy / active, 1.0)
    if working < _ALWAYS:
        return Verdict(bound=Bound.HOST, share=1.0 - working)
    if now.mbu is None or now.mfu is None:
        return None
    bandwidth, compute = now.mbu / busy, now.mfu / busy
    if max(bandwidth, compute) < _NEAR:
        return Verdict(bound=Bound.SMALL_OPERATIONS, share=1.0 - max(bandwidth, compute))
    if bandwidth >= compute:
        return Verdict(bound=Bound.BANDWIDTH, share=bandwidth)
    return Verdict(bound=Bound.COMPUTE, share=compute)
