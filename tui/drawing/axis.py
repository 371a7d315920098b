"""Where values lie on a chart's value axis, and which of them are labelled."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .timebase import Floats

TICK_GAP = 2
"""Rows from one labelled value of a logarithmic axis to the next, at least; in a plot of two rows
both are labelled."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to `high`. A logarithmic axis lies above zero: values at or below `low`, and so
    zero, lie on its floor."""

    low: float
    high: float
    logarithmic: bool = False

    def heights(self, values: Floats) -> Floats:
        """Where values lie between the floor (0) and the upper end (1); NaN stays NaN. On a linear
        axis a value beyond an end lies beyond 0 and 1."""
        if not self.logarithmic:
            span = self.high - self.low if self.high > self.low else 1.0
            return (values - self.low) / span
        raised = np.maximum(values, self.low)
        heights: Floats = np.log(raised / self.low) / math.log(self.high / self.low)
        return heights

    def height(self, value: float) -> float:
        """Where one value lies."""
        return float(self.heights(np.array([value], dtype=np.float64))[0])

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def ticks(self, rows: int, row_of: Callable[[float], int]) -> list[tuple[float, int]]:
        """The values to label in a plot of so many rows, each with its row.

        Linear: both ends and the middle. Logarithmic: the powers of ten and 2 and 5 times those,
        where all of them have room; else what has room of the powers and the ends, the powers
        first unless there is but one.
        """
        if self.logarithmic:
            return self._decades(rows, row_of)
        ticks = [(self.high, 0)]
        if rows >= 5:
            ticks.append(((self.low + self.high) / 2, rows // 2))
        if rows >= 2:
            ticks.append((self.low, rows - 1))
        return ticks

    def _decades(self, rows: int, row_of: Callable[[float], int]) -> list[tuple[float, int]]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        powers = [float(f"1e{power}") for power in range(first, last + 1)]
        every = [step * power for power in powers for step in (1, 2, 5)]
        shown = [(value, row_of(value)) for value in every if self.holds(value)]
        gap = max(1, min(TICK_GAP, rows - 1))
        if all(above[1] + gap <= below[1] for below, above in pairwise(shown)):
            return shown
        inside = [power for power in powers if self.holds(power)]
        ends = [self.high, self.low]
        taken: dict[int, float] = {}
        for value in [*inside, *ends] if len(inside) > 1 else [*ends, *inside]:
            row = row_of(value)
            if all(abs(row - other) >= gap for other in taken):
                taken[row] = value
        return [(value, row) for row, value in taken.items()]
