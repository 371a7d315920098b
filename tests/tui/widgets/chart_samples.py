"""Curves over the last minute, for tests of charts."""

import numpy as np
from prodtop.tui.drawing.chart_data import (
    ChartSettings,
    Series,
    Stroke,
)
from prodtop.tui.drawing.timebase import Floats
from prodtop.tui.style.formatting import MILLISECONDS

NOW_S = 100_000.0
TIMES: Floats = np.linspace(NOW_S - 60, NOW_S, 600, endpoint=False, dtype=np.float64)


def curve(
    name: str, values: Floats, *, stroke: Stroke = Stroke.LINE, ink: int | None = None
) -> Series:
    """A curve of `values [600]` over the last minute."""
    return Series(name, TIMES.tolist(), values.tolist(), stroke, ink=ink)


CLOCK_SETTINGS = ChartSettings(unit=MILLISECONDS, clock=lambda time_s: f"t={time_s - NOW_S:+.0f}")


def wave(name: str = "TTFT p95", *, stroke: Stroke = Stroke.LINE, size: float = 1.0) -> Series:
    return curve(name, size * (100 + 50 * np.sin(TIMES / 4)), stroke=stroke)
