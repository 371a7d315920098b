"""Whether a level grows: the slope of a straight line through its last seconds."""

from collections import deque

from ..protocol import TREND_SPAN_S

LEAST_SPAN_S = 2.0
"""Over less than this no slope is told: a burst is no trend."""


class Trend:
    """Remembers a level as often as it is told, for `TREND_SPAN_S`."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque()

    def add(self, level: float, now_s: float) -> None:
        """The level is `level` now."""
        self._samples.append((now_s, level))
        while self._samples[0][0] < now_s - TREND_SPAN_S:
            self._samples.popleft()

    @property
    def mean(self) -> float | None:
        """The mean of what was told; `None` before anything was."""
        samples = self._samples
        return sum(level for _, level in samples) / len(samples) if samples else None

    def per_s(self) -> float | None:
        """By how much a second the level grows (least squares); `None` while unknown."""
        count = len(self._samples)
        if count < 2 or self._samples[-1][0] - self._samples[0][0] < LEAST_SPAN_S:
            return None
        middle_s = sum(at_s for at_s, _ in self._samples) / count
        mean = self.mean or 0.0
        spread = sum((at_s - middle_s) ** 2 for at_s, _ in self._samples)
        covered = sum((at_s - middle_s) * (level - mean) for at_s, level in self._samples)
        return covered / spread
