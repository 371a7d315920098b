"""What limits the engine: the host, the device's bandwidth or arithmetic, or a lack of work.

MBU and MFU are the work of the steps over the device's measured ceilings. The verdict's questions
are asked in the order in which an answer makes the later ones idle: an engine without work uses no
bandwidth, and a device that waits for its host is not at its limit either.
"""

from ..protocol import RATE_SPAN_S, Bound, Roofline, Verdict
from .roofline import fraction_of_ceiling
from .windows import WindowedCounter, WindowedIntegral

_CAPACITY_S = 10.0

_ALWAYS = 0.9
"""From this share of time on, what is missing to the whole explains nothing."""

_NEAR = 0.3
"""Below this share of both ceilings, neither explains the time that a step takes."""


class LimitMeter:
    """Counts the work of the steps and the time in which the device and the engine had any."""

    def __init__(self, start_s: float) -> None:
        self._bytes_read = WindowedCounter(start_s, capacity_s=_CAPACITY_S)
        self._flops = WindowedCounter(start_s, capacity_s=_CAPACITY_S)
        self._device_s = WindowedCounter(start_s, capacity_s=_CAPACITY_S)
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

    def roofline(
        self,
        now_s: float,
        *,
        copy_bytes_per_s: float | None,
        matmul_flops_per_s: float | None,
        span_s: float = RATE_SPAN_S,
    ) -> Roofline:
        """MBU and MFU over the last `span_s`, and what follows; `None` without the ceilings."""
        mbu = fraction_of_ceiling(self._bytes_read.rate(span_s, now_s), copy_bytes_per_s)
        mfu = fraction_of_ceiling(self._flops.rate(span_s, now_s), matmul_flops_per_s)
        active, busy = self._active.mean(span_s, now_s), self._device_s.rate(span_s, now_s)
        # A step under way counts when it ends, and may have begun before the bin of the last one.
        busy = min(busy, 1.0)
        return Roofline(
            mbu=mbu,
            mfu=mfu,
            active=active,
            busy=busy,
            verdict=verdict(active=active, busy=busy, mbu=mbu, mfu=mfu),
        )


def verdict(
    *, active: float | None, busy: float | None, mbu: float | None, mfu: float | None
) -> Verdict | None:
    """The bound and its share; `None` before anything was measured.

    `active` is the share of time in which a request ran, `busy` that in which the device worked;
    `mbu` and `mfu` are taken over the same time. While the device works they are higher.
    """
    if active is None or busy is None:
        return None
    if active < _ALWAYS:
        return Verdict(bound=Bound.QUEUE, share=1.0 - active)
    working = min(busy / active, 1.0)
    if working < _ALWAYS:
        return Verdict(bound=Bound.HOST, share=1.0 - working)
    if mbu is None or mfu is None:
        return None
    bandwidth, compute = mbu / busy, mfu / busy
    if max(bandwidth, compute) < _NEAR:
        return Verdict(bound=Bound.LATENCY, share=1.0 - max(bandwidth, compute))
    if bandwidth >= compute:
        return Verdict(bound=Bound.BANDWIDTH, share=bandwidth)
    return Verdict(bound=Bound.COMPUTE, share=compute)
