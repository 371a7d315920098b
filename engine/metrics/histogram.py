"""A log-bucketed histogram of durations: small, mergeable, and right to within one per cent."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

LOWEST_S = 1e-6
HIGHEST_S = 1e4
GROWTH = 1.02
"""Each bucket's upper edge over its lower edge."""

RELATIVE_ERROR = (GROWTH - 1) / (GROWTH + 1)
"""The largest relative error of a quantile: 0.99 %."""

_LOG_GROWTH = math.log(GROWTH)
_BUCKETS = math.ceil(math.log(HIGHEST_S / LOWEST_S) / _LOG_GROWTH) + 1

Counts = npt.NDArray[np.int64]
Durations = npt.NDArray[np.float64]


def _representatives() -> Durations:
    """The value that stands for each bucket: equally far, in ratio, from both of its edges."""
    upper = LOWEST_S * GROWTH ** np.arange(_BUCKETS, dtype=np.float64)
    values: Durations = upper * 2 / (GROWTH + 1)
    values[0] = LOWEST_S
    return values


_VALUES = _representatives()


@dataclass(frozen=True, slots=True)
class Sparse:
    """The non-empty buckets of a histogram: how a closed bin of a window is kept."""

    buckets: Counts
    counts: Counts
    count: int
    total_s: float
    least_s: float
    most_s: float


class LogHistogram:
    """Counts of durations in buckets that grow by 2 %, from 1 µs to 10,000 s.

    Bucket *i* holds `(LOWEST_S · GROWTH^(i-1), LOWEST_S · GROWTH^i]`. Its representative is within
    `RELATIVE_ERROR` of every value in it, so a quantile is within that of the sample it names.
    Durations below 1 µs count as 1 µs, above 10,000 s as 10,000 s; `count`, `total_s` (the sum),
    `least_s` and `most_s` do not pass through buckets. No quantile lies outside `least_s` …
    `most_s`, so all figures of one histogram agree. Bucketing after DDSketch (Masson, Rim, Lee,
    VLDB 2019).
    """

    __slots__ = ("_counts", "count", "least_s", "most_s", "total_s")

    def __init__(self) -> None:
        self._counts: Counts = np.zeros(_BUCKETS, dtype=np.int64)
        self.count = 0
        self.total_s = 0.0
        self.least_s = math.inf
        self.most_s = -math.inf

    def add(self, duration_s: float) -> None:
        """Count one duration. Raises ValueError if it is negative or not a finite number."""
        if not 0.0 <= duration_s < math.inf:
            raise ValueError(f"a duration must be finite and not negative, not {duration_s}")
        self._counts[_bucket(duration_s)] += 1
        self.count += 1
        self.total_s += duration_s
        self._widen(duration_s, duration_s)

    def add_many(self, durations_s: Durations) -> None:
        """Count `durations_s` `[n]`. Raises ValueError if one is negative or not finite."""
        if not durations_s.size:
            return
        least_s, most_s = float(durations_s.min()), float(durations_s.max())
        if not (np.isfinite(durations_s).all() and least_s >= 0.0):
            raise ValueError("durations must be finite and not negative")
        edges = np.log(np.maximum(durations_s, LOWEST_S) / LOWEST_S) / _LOG_GROWTH
        buckets = np.minimum(np.ceil(edges).astype(np.int64), _BUCKETS - 1)
        np.add.at(self._counts, buckets, 1)
        self.count += int(durations_s.size)
        self.total_s += float(durations_s.sum())
        self._widen(least_s, most_s)

    def merge(self, other: Self) -> None:
        """Count everything that `other` counted."""
        self._counts += other._counts
        self.count += other.count
        self.total_s += other.total_s
        self._widen(other.least_s, other.most_s)

    def _widen(self, least_s: float, most_s: float) -> None:
        """Something from `least_s` to `most_s` was counted as well."""
        self.least_s = min(self.least_s, least_s)
        self.most_s = max(self.most_s, most_s)

    def copy(self) -> "LogHistogram":
        """An independent histogram with the same contents."""
        twin = LogHistogram()
        twin._counts[:] = self._counts
        twin.count, twin.total_s = self.count, self.total_s
        twin.least_s, twin.most_s = self.least_s, self.most_s
        return twin

    def sparse(self) -> Sparse:
        """The non-empty buckets alone."""
        buckets = np.flatnonzero(self._counts).astype(np.int64)
        counts = self._counts[buckets]
        return Sparse(buckets, counts, self.count, self.total_s, self.least_s, self.most_s)

    def add_sparse(self, part: Sparse) -> None:
        """Count everything in `part`."""
        self._counts[part.buckets] += part.counts
        self.count += part.count
        self.total_s += part.total_s
        self._widen(part.least_s, part.most_s)

    def subtract_sparse(self, part: Sparse) -> None:
        """Take away a part that was added before.

        The sum is taken away in floating point: who subtracts for long must recompute it.
        `least_s` and `most_s` stay those of all that was ever added, until `restate`.
        """
        self._counts[part.buckets] -= part.counts
        self.count -= part.count
        self.total_s -= part.total_s

    def restate(self, remaining: Iterable[Sparse]) -> None:
        """Set the sum and both ends anew, from the parts that are left of what was added."""
        parts = list(remaining)
        self.total_s = math.fsum(part.total_s for part in parts)
        self.least_s = min((part.least_s for part in parts), default=math.inf)
        self.most_s = max((part.most_s for part in parts), default=-math.inf)

    @property
    def mean_s(self) -> float | None:
        """The exact mean; `None` where nothing was counted."""
        # A sum of equal samples may be off by its rounding; their mean is not.
        return self._within(self.total_s / self.count) if self.count else None

    def cumulative(self, bounds_s: Sequence[float]) -> list[int]:
        """For each bound how many durations it is not exceeded by; one within `GROWTH` of a bound
        may count on either side."""
        sums = self._counts.cumsum()
        return [int(sums[_bucket(bound_s)]) for bound_s in bounds_s]

    def quantiles(self, fractions: Sequence[float]) -> list[float]:
        """For each fraction the smallest duration, in seconds, that so many samples do not exceed.

        An empty list where nothing was counted.
        Raises ValueError for a fraction outside 0 … 1.
        """
        if not all(0.0 <= fraction <= 1.0 for fraction in fractions):
            raise ValueError(f"quantile fractions must lie in 0 … 1, not {list(fractions)}")
        if not self.count:
            return []
        ranks = [max(1, math.ceil(fraction * self.count)) for fraction in fractions]
        buckets = np.searchsorted(self._counts.cumsum(), ranks)
        return [
            self.most_s
            if rank == self.count
            else self.least_s
            if rank == 1
            else self._within(float(_VALUES[bucket]))
            for rank, bucket in zip(ranks, buckets, strict=True)
        ]

    def _within(self, value_s: float) -> float:
        return min(max(value_s, self.least_s), self.most_s)


def _bucket(duration_s: float) -> int:
    if duration_s <= LOWEST_S:
        return 0
    return min(math.ceil(math.log(duration_s / LOWEST_S) / _LOG_GROWTH), _BUCKETS - 1)
