"""What happened over the last seconds: histograms, counters and integrals that forget.

Time is always an argument, on one monotonic clock, and never read here. A time earlier than one
already seen counts as that one. Time is cut into bins, so that adding is cheap and forgetting costs
nothing per sample.
"""

import math
from collections import deque
from collections.abc import Mapping

from ..protocol import WINDOW_SECONDS, Window
from .histogram import Durations, LogHistogram, Sparse

HISTOGRAM_BIN_S = 0.5
COUNTER_BIN_S = 0.1
_SAME_S = 1e-6
"""Moments as close as this are one: a span is handed on as its length."""


class _Span:
    """The closed bins inside one window, and their sum kept up to date."""

    __slots__ = ("bins", "merged", "width")

    def __init__(self, window: Window, bin_s: float) -> None:
        seconds = WINDOW_SECONDS[window]
        self.width = None if math.isinf(seconds) else round(seconds / bin_s)
        self.merged = LogHistogram()
        self.bins: deque[tuple[int, Sparse]] = deque()

    def close(self, number: int, part: Sparse) -> None:
        self.merged.add_sparse(part)
        if self.width is not None:
            self.bins.append((number, part))

    def expire(self, number: int) -> None:
        """Forget the bins that are outside the window while bin `number` is filling."""
        if self.width is None or not self.bins or self.bins[0][0] > number - self.width:
            return
        while self.bins and self.bins[0][0] <= number - self.width:
            self.merged.subtract_sparse(self.bins.popleft()[1])
        self.merged.restate(part for _, part in self.bins)


class WindowedHistogram:
    """A histogram for each `Window` of a known length.

    A window of W seconds holds the bin that is filling and those before it, W ÷ `bin_s` in all:
    nothing older than W, and everything younger than W - `bin_s`.
    """

    def __init__(self, bin_s: float = HISTOGRAM_BIN_S) -> None:
        self._bin_s = bin_s
        self._number: int | None = None
        self._filling = LogHistogram()
        self._spans = {window: _Span(window, bin_s) for window in WINDOW_SECONDS}

    def add(self, duration_s: float, now_s: float) -> None:
        """Count one duration, in seconds, at `now_s`."""
        self._advance(now_s)
        self._filling.add(duration_s)

    def add_many(self, durations_s: Durations, now_s: float) -> None:
        """Count `durations_s` `[n]`, in seconds, at `now_s`."""
        self._advance(now_s)
        self._filling.add_many(durations_s)

    def view(self, window: Window, now_s: float) -> LogHistogram:
        """What the window holds at `now_s`, as a histogram of the caller's own."""
        self._advance(now_s)
        merged = self._spans[window].merged.copy()
        merged.merge(self._filling)
        return merged

    def _advance(self, now_s: float) -> None:
        number = math.floor(now_s / self._bin_s)
        if self._number is None:
            self._number = number
        if number <= self._number:
            return
        if self._filling.count:
            part = self._filling.sparse()
            for span in self._spans.values():
                span.close(self._number, part)
            self._filling = LogHistogram()
        for span in self._spans.values():
            span.expire(number)
        self._number = number


def mark_counters(meter: object, now_s: float) -> None:
    """Mark every counter that a meter holds, alone or in a mapping."""
    for held in vars(meter).values():
        for counter in held.values() if isinstance(held, Mapping) else (held,):
            if isinstance(counter, WindowedCounter):
                counter.mark(now_s)


class WindowedCounter:
    """A running total that also knows what it was: amounts and rates over any recent span.

    Adding is O(1). A span is cut to whole bins at its far end and divided by the time that it then
    covers, so a rate is not biased by the cut. Spans from `bin_s` to `capacity_s`, since `mark`, or
    infinite for all since `start_s`; another raises ValueError.
    """

    def __init__(
        self, start_s: float, *, bin_s: float = COUNTER_BIN_S, capacity_s: float = 300.0
    ) -> None:
        self.total = 0.0
        self._start_s = start_s
        self._bin_s = bin_s
        self._capacity_s = capacity_s
        self._number = math.floor(start_s / bin_s)
        self._next_bin_s = (self._number + 1) * bin_s
        self._size = math.ceil(capacity_s / bin_s) + 2
        self._at_bin_start = [0.0] * self._size
        self._mark_s, self._at_mark = start_s, 0.0

    def mark(self, now_s: float) -> None:
        """A span may begin exactly here from now on, however long ago that will be."""
        self._advance(now_s)
        self._mark_s, self._at_mark = now_s, self.total

    def add(self, amount: float, now_s: float) -> None:
        """Add `amount` at `now_s`."""
        if now_s >= self._next_bin_s:
            self._advance(now_s)
        self.total += amount

    def add_over(self, amount: float, began_s: float, now_s: float) -> None:
        """Add `amount`, which came evenly from `began_s` to `now_s`.

        What would lie before the bin of the latest addition comes right after it.
        """
        last = self._number
        self._advance(now_s)
        if now_s > began_s:
            for entered in range(max(last, self._number - self._size) + 1, self._number + 1):
                share = (entered * self._bin_s - began_s) / (now_s - began_s)
                self._at_bin_start[entered % self._size] += amount * min(max(share, 0.0), 1.0)
        self.total += amount

    def over(self, span_s: float, now_s: float) -> tuple[float, float]:
        """The amount added in the last `span_s` seconds, and the seconds that it stands for."""
        return self.between(now_s - span_s, now_s, now_s)

    def rate(self, span_s: float, now_s: float) -> float:
        """Amount per second over the last `span_s` seconds, or since the start if that is less.

        A finite span stands for at least a bin, so that the first events are no burst.
        """
        amount, covered_s = self.over(span_s, now_s)
        if not math.isinf(span_s):
            covered_s = max(covered_s, self._bin_s)
        return amount / covered_s if covered_s > 0.0 else 0.0

    def between(self, from_s: float, to_s: float, now_s: float) -> tuple[float, float]:
        """The amount added from `from_s` to `to_s`, and the seconds from one to the other.

        Each end is moved to the start of a bin, forward to the next one and back to the last;
        `to_s == now_s` is exact. Nothing is left of a span shorter than that.
        """
        self._advance(now_s)
        end = math.floor(to_s / self._bin_s)
        if to_s >= now_s:
            end_s, at_end = now_s, self.total
        else:
            end_s, at_end = end * self._bin_s, self._value_at(end)
        if abs(from_s - self._mark_s) < _SAME_S:
            return at_end - self._at_mark, max(0.0, end_s - self._mark_s)
        if from_s <= self._start_s:
            return at_end, max(0.0, end_s - self._start_s)
        begin = math.ceil(from_s / self._bin_s)
        if begin > end:
            return 0.0, 0.0
        return at_end - self._value_at(begin), end_s - begin * self._bin_s

    def _value_at(self, number: int) -> float:
        if number <= self._number - self._size:
            raise ValueError(f"only the last {self._capacity_s:g} s are kept")
        return self._at_bin_start[number % self._size]

    def _advance(self, now_s: float) -> None:
        number = math.floor(now_s / self._bin_s)
        for entered in range(max(self._number, number - self._size) + 1, number + 1):
            self._at_bin_start[entered % self._size] = self._total_at(entered * self._bin_s)
        self._number = max(self._number, number)
        self._next_bin_s = (self._number + 1) * self._bin_s

    def _total_at(self, at_s: float) -> float:
        """The total at `at_s`, between the last event and now."""
        return self.total


class WindowedIntegral(WindowedCounter):
    """The integral of a level over time, and so its time average over any recent span."""

    def __init__(
        self, start_s: float, *, bin_s: float = COUNTER_BIN_S, capacity_s: float = 300.0
    ) -> None:
        super().__init__(start_s, bin_s=bin_s, capacity_s=capacity_s)
        self.level = 0.0
        self._at_s = start_s

    def set_level(self, level: float, now_s: float) -> None:
        """From `now_s` on the level is `level`."""
        self._advance(now_s)
        self.level = level

    def mean(self, span_s: float, now_s: float) -> float | None:
        """The time average over the last `span_s` seconds; `None` before any time has passed."""
        area, covered_s = self.over(span_s, now_s)
        return area / covered_s if covered_s > 0.0 else None

    def _advance(self, now_s: float) -> None:
        super()._advance(now_s)
        self.total = self._total_at(now_s)
        self._at_s = max(self._at_s, now_s)

    def _total_at(self, at_s: float) -> float:
        return self.total + self.level * max(0.0, at_s - self._at_s)
