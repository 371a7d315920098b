"""Percentiles of latencies of which some are not over yet.

A request that still waits is no reason to look only at those that have been served: they are the
fast ones. What is known of it is that its latency is more than its age (it is *censored*). The
estimate is Kaplan and Meier's (Journal of the American Statistical Association 53, 1958): at each
observed latency the share of those still waiting falls by one over the number that had waited so
long. Without any censored request that is the plain percentile.
"""

import math

import numpy as np
import numpy.typing as npt

from ..protocol import Percentile
from .histogram import Durations

LEAST_REQUESTS = 3
"""Fewer requests than these make no percentile worth comparing."""

_ROUNDING = 1e-9

Flags = npt.NDArray[np.bool_]


def censored_percentile(
    durations_s: Durations, over: Flags, fraction: float, *, growing: bool = False
) -> Percentile | None:
    """The percentile of `durations_s` `[n]`, of which those not `over` `[n]` are ages so far.

    Where too few are over to know it, it is at least the greatest age. While the queue is
    `growing`, whatever was measured is less than what those behind will wait. `None` for fewer than
    `LEAST_REQUESTS`.
    """
    if durations_s.size < LEAST_REQUESTS:
        return None
    # Of equal ones those that are over come first: the others last longer.
    order = np.lexsort((~over, durations_s))
    durations_s, over = durations_s[order], over[order]
    at_risk = np.arange(durations_s.size, 0, -1)
    waiting = np.cumprod(np.where(over, 1.0 - 1.0 / at_risk, 1.0))
    reached = np.flatnonzero(waiting <= 1.0 - fraction + _ROUNDING)
    if reached.size:
        return Percentile(value_ms=float(durations_s[reached[0]]) * 1e3, at_least=growing)
    return Percentile(value_ms=float(durations_s[-1]) * 1e3, at_least=True)


def percentile_ms(durations_s: Durations, fraction: float) -> float | None:
    """The smallest of `durations_s` `[n]` that `fraction` of them do not exceed, in milliseconds;
    `None` for fewer than `LEAST_REQUESTS`."""
    if durations_s.size < LEAST_REQUESTS:
        return None
    rank = max(1, math.ceil(fraction * durations_s.size))
    return float(np.sort(durations_s)[rank - 1]) * 1e3
