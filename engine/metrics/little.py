"""Little's law, measured from both sides: L, and λ times W.

L is the time average of the number of requests in the system; λ the rate at which requests leave
it; W their mean residence. In steady state L = λ·W whatever the arrivals, the service or the order
(J. D. C. Little, Operations Research 9, 1961). Where the two differ, the system is filling or
draining: `steadiness.py` tells by how much they may.

Both go by a clock that stands still while the engine does. A pause of half a minute in a system
that is otherwise steady would show in every residence, and in no count.
"""

from .pauses import Pauses
from .windows import WindowedCounter, WindowedIntegral

SPAN_S = 10.0


class LittleMeter:
    """Follows the number of requests in the system, and the residence of those that left it.

    `pauses` are the engine's: whoever reports an event here has told them of it first.
    """

    def __init__(self, start_s: float, pauses: Pauses | None = None) -> None:
        self._pauses = pauses or Pauses(start_s)
        self._in_system = WindowedIntegral(start_s, capacity_s=60.0)
        self._residence_s = WindowedCounter(start_s, capacity_s=60.0)
        self._left = WindowedCounter(start_s, capacity_s=60.0)

    def on_arrival(self, now_s: float, arrival_at_s: float | None = None) -> None:
        """A request is in the system, since `arrival_at_s` if that was before it was noticed."""
        awake_s = self._awake_s(now_s)
        self._in_system.set_level(self._in_system.level + 1, awake_s)
        if arrival_at_s is not None:
            self._in_system.add(self._lasted_s(arrival_at_s, now_s), awake_s)

    def on_departure(self, now_s: float, residence_s: float) -> None:
        """A request left, `residence_s` seconds after its arrival."""
        awake_s = self._awake_s(now_s)
        self._in_system.set_level(self._in_system.level - 1, awake_s)
        self._residence_s.add(self._lasted_s(now_s - residence_s, now_s), awake_s)
        self._left.add(1, awake_s)

    def mean_in_system(self, now_s: float, span_s: float = SPAN_S) -> float | None:
        """L over the last `span_s`; `None` before any time has passed."""
        return self._in_system.mean(span_s, self._awake_s(now_s))

    def rate_times_residence(self, now_s: float, span_s: float = SPAN_S) -> float | None:
        """λ·W of the requests that left in the last `span_s`; `None` where none did.

        λ is their number over the span and W the mean of their residence, so the product is the sum
        of their residence over the span.
        """
        awake_s = self._awake_s(now_s)
        if not self._left.over(span_s, awake_s)[0]:
            return None
        residence_s, covered_s = self._residence_s.over(span_s, awake_s)
        return residence_s / covered_s if covered_s > 0.0 else None

    def _awake_s(self, now_s: float) -> float:
        """The time without what was paused of it."""
        return now_s - self._pauses.total_s

    def _lasted_s(self, from_s: float, to_s: float) -> float:
        return max(0.0, to_s - from_s - self._pauses.within(from_s, to_s))
