"""How the rate of an open loop changes over time, and when its arrivals come because of it.

Arrivals at a changing rate are arrivals at rate 1 on a clock of their own: the expected number of
arrivals until then, Λ(t) = ∫ rate. Drawn there, their times are Λ⁻¹: the time-rescaling theorem,
which keeps burstiness (Brown et al., Neural Computation 14, 2002).
"""

from typing import Protocol

import numpy as np

from ..protocol import LoadSpec
from .arrivals import LEAST_RATE, Floats


class RateCurve(Protocol):
    """A rate over the seconds since the load began, which are not negative."""

    def expected(self, at_s: float) -> float:
        """Λ: how many arrivals are expected until `at_s`."""
        ...

    def times_s(self, expected: Floats) -> Floats:
        """Λ⁻¹: by when `expected` `[n]` arrivals are, in seconds."""
        ...


class Ramp:
    """From `start` to `end` a second, evenly within `seconds`; then `end`, which is above 0."""

    def __init__(self, start: float, end: float, seconds: float) -> None:
        self._start, self._end, self._seconds = start, end, seconds
        self._slope = (end - start) / seconds
        self._area = (start + end) / 2 * seconds

    def rate(self, at_s: float) -> float:
        """What the ramp has come to."""
        if at_s >= self._seconds:
            return self._end
        return self._start + (self._end - self._start) * max(at_s, 0.0) / self._seconds

    def next_whole_s(self, above: int) -> float | None:
        """When the ramp comes to the next whole number above `above`; `None` if it never does."""
        if self._slope <= 0 or above + 1 > self._end:
            return None
        return max(0.0, (above + 1 - self._start) / self._slope)

    def expected(self, at_s: float) -> float:
        if at_s >= self._seconds:
            return self._area + (at_s - self._seconds) * self._end
        return (self._start + self.rate(at_s)) / 2 * at_s

    def times_s(self, expected: Floats) -> Floats:
        within = np.minimum(expected, self._area)
        # The root of start·t + slope·t²/2 = within, in the form that is exact for a flat slope.
        root = np.sqrt(np.maximum(self._start**2 + 2 * self._slope * within, 0.0))
        divisor = self._start + root
        ramped = np.divide(2 * within, divisor, out=np.zeros_like(within), where=divisor > 0)
        return np.where(
            expected < self._area,
            np.minimum(ramped, self._seconds),
            self._seconds + (expected - within) / max(self._end, LEAST_RATE),
        )


class Bursts:
    """`burst` a second for `seconds`, then `base` a second, and so on every `every_s`."""

    def __init__(self, base: float, burst: float, seconds: float, every_s: float) -> None:
        self._base, self._burst = base, burst
        self._seconds, self._every_s = seconds, every_s
        self._in_burst = burst * seconds
        self._in_period = self._in_burst + base * (every_s - seconds)

    def expected(self, at_s: float) -> float:
        periods, into_s = divmod(at_s, self._every_s)
        burst_s = min(into_s, self._seconds)
        return periods * self._in_period + burst_s * self._burst + (into_s - burst_s) * self._base

    def times_s(self, expected: Floats) -> Floats:
        periods = np.floor(expected / self._in_period)
        rest = np.maximum(expected - periods * self._in_period, 0.0)
        into_s = np.minimum(rest, self._in_burst) / self._burst
        if self._base:
            into_s += np.maximum(rest - self._in_burst, 0.0) / max(self._base, LEAST_RATE)
        return periods * self._every_s + np.minimum(into_s, self._every_s)


def rate_curve(spec: LoadSpec) -> RateCurve | None:
    """How the rate of an open loop changes; `None` where it does not."""
    rate_per_s, burst = spec.rate_per_s, spec.burst
    if rate_per_s is None:
        return None
    if spec.ramp is not None:
        return Ramp(spec.ramp.start, rate_per_s, spec.ramp.seconds)
    if burst is not None:
        return Bursts(rate_per_s, burst.rate_per_s, burst.seconds, burst.every_s)
    return None


def user_ramp(spec: LoadSpec) -> Ramp | None:
    """How the number of users of a closed loop changes; `None` where it does not."""
    if spec.is_open or spec.ramp is None:
        return None
    return Ramp(spec.ramp.start, spec.users, spec.ramp.seconds)
