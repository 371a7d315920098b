"""Amounts over the last seconds, in bins: what windows of targets are read from."""

import math
from collections import defaultdict, deque
from collections.abc import Mapping

MOST_STEP_S = 5.0
"""The time between two reports that still counts as watched. Longer ones are gaps: the machine
slept, or nothing was reported."""


class BinnedAmounts:
    """Named amounts in bins of `bin_s`, the newest `span_s` seconds of them.

    A span is cut at a bin's edge: it holds the bin that is filling and those before it. A time
    before the newest one counts as that one, so a clock that goes back loses nothing.
    """

    def __init__(self, bin_s: float, span_s: float) -> None:
        self._bin_s = bin_s
        self._kept = math.ceil(span_s / bin_s) + 1
        self._bins: deque[tuple[int, dict[str, float]]] = deque()
        self._newest = -math.inf

    def add(self, amounts: Mapping[str, float], now_s: float) -> None:
        """Add amounts at `now_s`."""
        number = self._number(now_s)
        if not self._bins or self._bins[-1][0] != number:
            self._bins.append((number, {}))
        _add(self._bins[-1][1], amounts)
        while self._bins[0][0] <= number - self._kept:
            self._bins.popleft()

    def over(self, span_s: float, now_s: float) -> Mapping[str, float]:
        """What was added in the last `span_s` seconds; 0 for a name that nothing was added to."""
        number = self._number(now_s)
        first = number - math.ceil(span_s / self._bin_s)
        total: dict[str, float] = defaultdict(float)
        for at, amounts in reversed(self._bins):
            if at <= first:
                break
            _add(total, amounts)
        return total

    def _number(self, now_s: float) -> int:
        self._newest = max(self._newest, now_s)
        return math.floor(self._newest / self._bin_s)


def _add(total: dict[str, float], amounts: Mapping[str, float]) -> None:
    for name, amount in amounts.items():
        total[name] = total.get(name, 0.0) + amount


class GrowingCount:
    """By how much a counter grew since it was last seen; one that went back began anew at 0."""

    def __init__(self, began_at: float | None = None) -> None:
        """`began_at`: what it stood at before anybody looked; `None`: the first look tells."""
        self._last = began_at

    def growth(self, count: float) -> float:
        """What came since the last call."""
        last, self._last = self._last, count
        if last is None:
            return 0.0
        return count - last if count >= last else count
