"""The value axis: round ends that follow the data without fidgeting."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .axis import Axis

_STEPS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""Upper ends whose half is also easy to read."""

HEADROOM = 1.04
SHRINK_ROOM = 1.25
"""The axis shrinks to a round number only if the data would leave this much room beyond it …"""
SHRINK_AFTER_S = 3.0
"""… for this long."""

ONE_DECADE = 3
"""Round numbers to a decade: 1, 2, 5."""
MOST_DECADES = 6
"""A logarithmic axis reaches no further below its upper end: what is smaller lies on its floor."""


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


def round_number(place: int) -> float:
    """The round numbers … 0.5, 1, 2, 5, 10, 20 … in order; 1 is at place 0."""
    decade, step = divmod(place, ONE_DECADE)
    return float(f"{(1, 2, 5)[step]}e{decade}")


def place_above(value: float) -> int:
    """The place of the smallest round number at or above `value`, which is above zero."""
    place = math.floor(math.log10(value)) * ONE_DECADE
    while round_number(place) < value * (1 - 1e-12):
        place += 1
    return place


def place_below(value: float) -> int:
    """The place of the largest round number at or below `value`, which is above zero."""
    place = place_above(value)
    return place if round_number(place) <= value * (1 + 1e-12) else place - 1


@dataclass(frozen=True, slots=True)
class Extent:
    """What an axis has to hold: the smallest value above zero (the largest where none is), and the
    largest value."""

    lowest: float
    highest: float

    def including(self, values: Sequence[float]) -> "Extent":
        """The extent that also holds some values above zero."""
        return Extent(min(self.lowest, *values), max(self.highest, *values)) if values else self


class Scale(Protocol):
    """Chooses the axis for what is visible, and remembers it so that it stays calm."""

    def axis(self, extent: Extent | None, now_s: float) -> Axis:
        """The axis to draw now; `None` where nothing is visible."""
        ...

    def forget(self) -> None:
        """Start anew: the next axis is the one that fits."""
        ...


@dataclass(slots=True)
class StableEnd:
    """One end of an axis. It moves outwards at once and inwards late, so that a value which
    wanders around a round number does not make the axis jump."""

    at: float | None = None
    _roomy_since_s: float | None = field(default=None, repr=False)
    _inwards_to: float = field(default=0.0, repr=False)

    def settle(self, wanted: float, roomy: float, now_s: float) -> float:
        """Where the end is now that `wanted` is the nearest place that holds the data, and `roomy`
        the nearest that leaves it some room. Larger is further out."""
        if self.at is None or wanted > self.at:
            self.at, self._roomy_since_s = wanted, None
        elif roomy >= self.at:
            self._roomy_since_s = None
        elif self._roomy_since_s is None or now_s < self._roomy_since_s:
            self._roomy_since_s, self._inwards_to = now_s, roomy
        else:
            self._inwards_to = max(self._inwards_to, roomy)
            if now_s - self._roomy_since_s >= SHRINK_AFTER_S:
                self.at, self._roomy_since_s = self._inwards_to, None
        return self.at


@dataclass(slots=True)
class LinearScale:
    """From zero to a round number. The axis never ends below `least_top`, so that noise near zero
    stays small; `top` fixes its end."""

    top: float | None = None
    least_top: float = 0.0
    _end: StableEnd = field(default_factory=StableEnd, repr=False)

    def axis(self, extent: Extent | None, now_s: float) -> Axis:
        if self.top is not None:
            return Axis(0.0, self.top)
        if extent is None:
            return Axis(0.0, 1.0 if self._end.at is None else self._end.at)
        peak = max(extent.highest, self.least_top)
        wanted, roomy = nice_ceiling(peak * HEADROOM), nice_ceiling(peak * SHRINK_ROOM)
        return Axis(0.0, self._end.settle(wanted, roomy, now_s))

    def forget(self) -> None:
        self._end = StableEnd()


@dataclass(slots=True)
class LogScale:
    """Between two of the numbers 1, 2 and 5 times a power of ten, at least a decade apart.

    Both ends are kept as places in the order of those numbers, the lower one negated, so that
    outwards is upwards for both.
    """

    _upper: StableEnd = field(default_factory=StableEnd, repr=False)
    _lower: StableEnd = field(default_factory=StableEnd, repr=False)

    def axis(self, extent: Extent | None, now_s: float) -> Axis:
        if extent is not None and extent.highest > 0:
            self._follow(extent, now_s)
        upper = 0 if self._upper.at is None else round(self._upper.at)
        lower = 0 if self._lower.at is None else -round(self._lower.at)
        lower = min(max(lower, upper - MOST_DECADES * ONE_DECADE), upper - ONE_DECADE)
        return Axis(round_number(lower), round_number(upper), logarithmic=True)

    def _follow(self, extent: Extent, now_s: float) -> None:
        highest, lowest = extent.highest, extent.lowest
        wanted, roomy = place_above(highest * HEADROOM), place_above(highest * SHRINK_ROOM)
        self._upper.settle(wanted, roomy, now_s)
        wanted, roomy = place_below(lowest / HEADROOM), place_below(lowest / SHRINK_ROOM)
        self._lower.settle(-wanted, -roomy, now_s)

    def forget(self) -> None:
        self._upper, self._lower = StableEnd(), StableEnd()
