"""Little's law, measured from both sides: L, and λ times W.

L is the time average of the number of requests in the system; λ the rate at which requests leave
it; W their mean residence. In steady state L = λ·W whatever the arrivals, the service or the order
(J. D. C. Little, Operations Research 9, 1961). Where the two differ, the system is filling or
draining.
"""

from .windows import WindowedCounter, WindowedIntegral

SPAN_S = 10.0


class LittleMeter:
    """Follows the number of requests in the system, and the residence of those that left it."""

    def __init__(self, start_s: float) -> None:
        self._in_system = WindowedIntegral(start_s, capacity_s=60.0)
        self._residence_s = WindowedCounter(start_s, capacity_s=60.0)
        self._left = WindowedCounter(start_s, capacity_s=60.0)

    def on_arrival(self, now_s: float, arrival_at_s: float | None = None) -> None:
        """A request is in the system, since `arrival_at_s` if that was before it was noticed."""
        self._in_system.set_level(self._in_system.level + 1, now_s)
        if arrival_at_s is not None:
            self._in_system.add(max(0.0, now_s - arrival_at_s), now_s)

    def on_departure(self, now_s: float, residence_s: float) -> None:
        """A request left, `residence_s` seconds after its arrival."""
        self._in_system.set_level(self._in_system.level - 1, now_s)
        self._residence_s.add(residence_s, now_s)
        self._left.add(1, now_s)

    def mean_in_system(self, now_s: float, span_s: float = SPAN_S) -> float | None:
        """L over the last `span_s`; `None` before any time has passed."""
        return self._in_system.mean(span_s, now_s)

    def rate_times_residence(self, now_s: float, span_s: float = SPAN_S) -> float | None:
        """λ·W of the requests that left in the last `span_s`; `None` where none did.

        λ is their number over the span and W the mean of their residence, so the product is the sum
        of their residence over the span.
        """
        if not self._left.over(span_s, now_s)[0]:
            return None
        residence_s, covered_s = self._residence_s.over(span_s, now_s)
        return residence_s / covered_s if covered_s > 0.0 else None
