"""The value axis: a round upper end that follows the data without fidgeting."""

import math
from dataclasses import dataclass, field

_STEPS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""Upper ends whose half is also easy to read."""

HEADROOM = 1.04
SHRINK_ROOM = 1.25
"""The axis shrinks to a round number only if the data would leave this much room below it …"""
SHRINK_AFTER_S = 3.0
"""… for this long."""


def nice_ceiling(value: float) -> float:
    """The smallest round number at or above `value`: 1, 2, 3, 4, 5, 6 or 8 times a power of ten.

    1.0 for a value that is not above zero.
    """
    if not value > 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    for step in _STEPS:
        if step * power >= value * (1 - 1e-12):
            return step * power
    return 10.0 * power


@dataclass(slots=True)
class StableScale:
    """Remembers the upper end of an axis. It grows at once and shrinks late, so that a value
    which wanders around a round number does not make the axis jump."""

    top: float | None = None
    _small_since_s: float | None = field(default=None, repr=False)
    _smaller_top: float = field(default=0.0, repr=False)

    def update(self, peak: float | None, now_s: float) -> float:
        """The upper end to use now that the largest visible value is `peak`."""
        if peak is None or not math.isfinite(peak):
            return self.top if self.top is not None else 1.0
        wanted = nice_ceiling(peak * HEADROOM)
        roomy = nice_ceiling(peak * SHRINK_ROOM)
        if self.top is None or wanted > self.top:
            self.top, self._small_since_s = wanted, None
        elif roomy >= self.top:
            self._small_since_s = None
        elif self._small_since_s is None or now_s < self._small_since_s:
            self._small_since_s, self._smaller_top = now_s, roomy
        else:
            self._smaller_top = max(self._smaller_top, roomy)
            if now_s - self._small_since_s >= SHRINK_AFTER_S:
                self.top, self._small_since_s = self._smaller_top, None
        return self.top

    def forget(self) -> None:
        """Start anew: the next update takes the round number that fits."""
        self.top = self._small_since_s = None
