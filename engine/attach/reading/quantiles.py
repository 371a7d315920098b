"""Percentiles of a histogram's buckets, interpolated as Prometheus' `histogram_quantile` does.

In the first bucket nothing is interpolated: a 3 ms decode in buckets from 10 ms is below 10 ms, and
no more is known. The same holds beyond the last bound.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from ...protocol import Percentiles
from .gauges import whole
from .kept_scrapes import Spanned

QUANTILES = (0.50, 0.95, 0.99)


def percentiles(spanned: Spanned, unit_ms: float, *, exact_sum: bool = True) -> Percentiles | None:
    """The percentiles of what came into a histogram; `None` where nothing did.

    `unit_ms`: what a value of 1 is in milliseconds. Without an `exact_sum` there is no mean.
    """
    if spanned.values < 0.5 or not (spanned.bounds or exact_sum):
        return None
    mean_ms = max(0.0, spanned.total / spanned.values * unit_ms) if exact_sum else None
    bounds = [bound * unit_ms for bound in spanned.bounds]
    # Scrapes of several processes may be out of step by some values.
    below = list(accumulate(spanned.below, max))
    if not bounds:
        return Percentiles(
            count=whole(spanned.values), mean_ms=mean_ms, p50_ms=None, p95_ms=None, p99_ms=None
        )
    count = max(spanned.values, below[-1])
    p50_ms, p95_ms, p99_ms = (_quantile(bounds, below, share * count) for share in QUANTILES)
    return Percentiles(
        count=whole(spanned.values),
        mean_ms=mean_ms,
        p50_ms=p50_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms,
        below_ms=bounds[0] if QUANTILES[0] * count <= below[0] else None,
        above_ms=bounds[-1] if QUANTILES[-1] * count > below[-1] else None,
    )


def _quantile(bounds: Sequence[float], below: Sequence[float], rank: float) -> float:
    """The value that `rank` values are up to; the first or the last bound where it is outside."""
    place = bisect_left(below, rank)
    if place == 0:
        return bounds[0]
    if place == len(bounds):
        return bounds[-1]
    before, held = below[place - 1], below[place] - below[place - 1]
    return bounds[place - 1] + (bounds[place] - bounds[place - 1]) * (rank - before) / held
