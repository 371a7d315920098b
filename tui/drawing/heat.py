"""A heatmap as cells of a plot: how many values lay where, as shades."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..style.glyphs import Glyphs
from .axis import Axis
from .chart_data import Heat
from .scale import Extent
from .timebase import Floats, TimeBase

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ColumnCounts:
    """A heat's counts in the columns of a time base: `[steps, columns]`."""

    heat: Heat
    counts: Counts

    @classmethod
    def of(cls, heat: Heat, base: TimeBase) -> "ColumnCounts":
        """Cells before and after the time base are left out."""
        counts = np.zeros((len(heat.edges) + 1, base.columns))
        for time_s, steps in heat.cells:
            column = base.column_of(time_s)
            if column is not None:
                for step, number in steps.items():
                    counts[step, column] += number
        return cls(heat, counts)

    @property
    def extent(self) -> Extent | None:
        """The values that an axis has to hold; `None` where there are none."""
        used = np.flatnonzero(self.counts.any(axis=1))
        if not len(used):
            return None
        edges = self.heat.edges
        low, high = max(0, int(used[0]) - 1), min(int(used[-1]), len(edges) - 1)
        return Extent(float(edges[low]), float(edges[high]))

    def shades(self, axis: Axis, rows: int, glyphs: Glyphs) -> tuple[NDArray[np.uint32], Counts]:
        """Characters and densities 0 … 1 of each cell of the plot, `[rows, columns]`, the largest
        values on top; a blank where nothing lies. The densest cell is the darkest, and the root
        keeps the thin ones in sight."""
        spread = self._row_shares(axis, rows) @ self.counts
        densest = spread.max(initial=0.0)
        density = np.sqrt(spread / densest) if densest > 0 else spread
        levels = np.ceil(density * len(glyphs.shades)).astype(np.int64)
        pens = np.array([ord(" "), *map(ord, glyphs.shades)], dtype=np.uint32)
        return pens[np.clip(levels, 0, len(glyphs.shades))], density

    def _row_shares(self, axis: Axis, rows: int) -> Floats:
        """Which part of each step lies in each row, `[rows, steps]`; all of what lies beyond an end
        of the axis goes to the last row there."""
        edges = np.clip(np.asarray(self.heat.edges, dtype=np.float64), axis.low, axis.high)
        heights = axis.heights(edges) * rows
        lows = np.concatenate(([0.0], heights))
        highs = np.concatenate((heights, [float(rows)]))
        bottoms = np.arange(rows)[::-1, None]
        overlap = np.minimum(highs, bottoms + 1) - np.maximum(lows, bottoms)
        shares: Floats = np.clip(overlap, 0.0, None)
        whole = shares.sum(axis=0)
        thin = np.flatnonzero(whole < 1e-9)
        # A step that the axis leaves no height lies where its edge is.
        at = np.clip(rows - 1 - np.floor(lows[thin]).astype(np.int64), 0, rows - 1)
        shares[at, thin] = 1.0
        whole[thin] = 1.0
        normed: Floats = shares / whole
        return normed
