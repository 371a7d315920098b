"""A histogram with given bounds that only grows."""

from bisect import bisect_left
from collections.abc import Sequence

from ..protocol.served import ExportedHistogram


class ExportHistogram:
    """Counts values in buckets `(bound before, bound]`, and above the last bound.

    `bounds` ascend.
    """

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def add(self, value: float, times: int = 1) -> None:
        """Count a value so many times."""
        self._counts[bisect_left(self._bounds, value)] += times
        self._total += value * times

    def exported(self) -> ExportedHistogram:
        """Everything that was counted so far."""
        return ExportedHistogram(counts=list(self._counts), total=self._total)
