"""A log-bucketed histogram of durations: small, mergeable, and right to within one per cent."""

import math
from collections.abc import Sequence
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


class LogHistogram:
    """Counts of durations in buckets that grow by 2 %, from 1 µs to 10,000 s.

    Bucket *i* holds `(LOWEST_S · GROWTH^(i-1), LOWEST_S · GROWTH^i]`. Its representative is within
    `RELATIVE_ERROR` of every value in it, so a quantile is within that of the sample it names.
    Durations below 1 µs read as 1 µs, above 10,000 s as 10,000 s; `count` and `total_s` (the sum)
    do not pass through buckets. Bucketing after DDSketch (Masson, Rim, Lee, VLDB 2019).
    """

    __slots__ = ("_counts", "count", "total_s")

    def __init__(self) -> None:
        self._counts: Counts = np.zeros(_BUCKETS, dtype=np.int64)
        self.count = 0
        self.total_s = 0.0

    def add(self, duration_s: float) -> None:
        """Count one duration. Raises ValueError if it is negative or not a finite number."""
        if not 0.0 <= duration_s < math.inf:
            raise ValueError(f"a duration must be finite and not negative, not {duration_s}")
        self._counts[_bucket(duration_s)] += 1
        self.count += 1
        self.total_s += duration_s

    def add_many(self, durations_s: Durations) -> None:
        """Count `durations_s` `[n]`. Raises ValueError if one is negative or not finite."""
        if not durations_s.size:
            return
        if not (np.isfinite(durations_s).all() and durations_s.min() >= 0.0):
            raise ValueError("durations must be finite and not negative")
        edges = np.log(np.maximum(durations_s, LOWEST_S) / LOWEST_S) / _LOG_GROWTH
        buckets = np.minimum(np.ceil(edges).astype(np.int64), _BUCKETS - 1)
        np.add.at(self._counts, buckets, 1)
        self.count += int(durations_s.size)
        self.total_s += float(durations_s.sum())

    def merge(self, other: Self) -> None:
        """Count everything that `other` counted."""
        self._counts += other._counts
        self.count += other.count
        self.total_s += other.total_s

    def copy(self) -> "LogHistogram":
        """An independent histogram with the same contents."""
        twin = LogHistogram()
        twin._counts[:] = self._counts
        twin.count, twin.total_s = self.count, self.total_s
        return twin

    def sparse(self) -> Sparse:
        """The non-empty buckets alone."""
        buckets = np.flatnonzero(self._counts).astype(np.int64)
        return Sparse(buckets, self._counts[buckets], self.count, self.total_s)

    def add_sparse(self, part: Sparse) -> None:
        """Count everything in `part`."""
        self._counts[part.buckets] += part.counts
        self.count += part.count
        self.total_s += part.total_s

    def subtract_sparse(self, part: Sparse) -> None:
        """Take away a part that was added before.

        The sum is taken away in floating point: who subtracts for long must recompute it.
        """
        self._counts[part.buckets] -= part.counts
        self.count -= part.count
        self.total_s -= part.total_s

    @property
    def mean_s(self) -> float | None:
        """The exact mean; `None` where nothing was counted."""
        return self.total_s / self.count if self.count else None

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
        return [float(_VALUES[bucket]) for bucket in buckets]


def _bucket(duration_s: float) -> int:
    if duration_s <= LOWEST_S:
        return 0
    return min(math.ceil(math.log(duration_s / LOWEST_S) / _LOG_GROWTH), _BUCKETS - 1)
