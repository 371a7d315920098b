"""A histogram with given bounds that only grows: values are kept as they come, counted in bulk."""

from collections.abc import Sequence

import numpy as np

from ..protocol.served import ExportedHistogram
from .histogram import Counts, Durations

_MOST_PENDING = 4096
"""So many values are kept before they are counted: about 100 µs of work, once in so many."""


class ExportHistogram:
    """Counts values in buckets `(bound before, bound]`, and above the last bound.

    `bounds` ascend. To add a value costs an append to a list.
    """

    __slots__ = ("_bounds", "_counts", "_pending", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds: Durations = np.array(bounds, dtype=np.float64)
        self._counts: Counts = np.zeros(len(bounds) + 1, dtype=np.int64)
        self._pending: list[float] = []
        self._total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self._pending.append(value)
        if len(self._pending) >= _MOST_PENDING:
            self._count_pending()

    def add_many(self, values: Durations) -> None:
        """Count `values` `[n]`."""
        if values.size:
            places = np.searchsorted(self._bounds, values, side="left")
            self._counts += np.bincount(places, minlength=self._counts.size)
            self._total += float(values.sum())

    def exported(self) -> ExportedHistogram:
        """Everything that was counted so far."""
        self._count_pending()
        return ExportedHistogram(counts=self._counts.tolist(), total=self._total)

    def _count_pending(self) -> None:
        pending, self._pending = self._pending, []
        self.add_many(np.array(pending, dtype=np.float64))
