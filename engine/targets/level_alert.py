"""Alerts of targets without a budget: a figure that misses its limit over two windows."""

import math

from ..protocol import TargetName
from .settings import AT_LEAST, is_met

MARGIN = 0.05
"""An alert ends once the short window's figure is this part of the limit on the good side of it."""
SHORT_PART = 12.0
"""The short window is this part of the long one, as in the SRE Workbook."""


class LevelAlert:
    """Begins where the figure is missed over both windows, ends where the short one's has kept the
    limit with a margin for as long as that window is."""

    def __init__(self, name: TargetName, limit: float, short_s: float) -> None:
        self.on = False
        self._name, self._limit, self._short_s = name, limit, short_s
        self._good_since_s: float | None = None

    def look(self, long: float | None, short: float | None, now_s: float, *, enough: bool) -> None:
        """Judge the figures of both windows, `None` where there is none. `enough`: the long one
        stands on enough for an alert to begin."""
        if not self.on:
            self.on = enough and self._missed(long) and self._missed(short)
            self._good_since_s = None
        elif long is None:
            self.on = False
        elif short is None or not self._well_met(short):
            self._good_since_s = None
        elif self._good_since_s is None or now_s < self._good_since_s:
            self._good_since_s = now_s
        elif now_s - self._good_since_s >= self._short_s:
            self.on = False

    def _missed(self, value: float | None) -> bool:
        return value is not None and not is_met(self._name, value, self._limit)

    def _well_met(self, value: float) -> bool:
        limit = self._limit
        if self._name not in AT_LEAST:
            return value <= limit * (1 - MARGIN)
        # A share has no room above 1: half way there is margin enough.
        most = (limit + 1) / 2 if limit < 1 else math.inf
        return value >= min(limit * (1 + MARGIN), most)
