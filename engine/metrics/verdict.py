"""What holds the engine back: the host, the device's memory or arithmetic, or a lack of work.

The questions are asked in the order in which an answer makes the later ones idle: an engine without
work uses no bandwidth, and a device that waits for its host is not at its limit either.
"""

from ..protocol import Bound, Verdict

_ALWAYS = 0.9
"""From this share of time on, waiting is not what a second look is worth at."""

_NEAR = 0.3
"""Below this share of both ceilings, neither explains the time that a step takes."""


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
