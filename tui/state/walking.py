"""Walking through what an observer remembers: where one stands, and where to stop."""

import math

from ...engine.records.tried import Tried
from ..style.formatting import span
from .go_to import Session
from .observer import Observer
from .stops import QUIET_KINDS, Stop, next_stop, stops_of

_STEPS_S = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21_600.0, 43_200.0, 86_400.0)
ZOOMS_S = (*_STEPS_S, math.inf)
"""What charts may span: from half a minute to the whole session."""


class Walking(Observer):
    """An observer through whose memory one walks; its playhead is where one stands."""

    def zoom(self, direction: int) -> None:
        """Have charts span the next step of time more (1) or less (-1); a window ends that."""
        span_s = self.timeline().span_s
        more = [step for step in ZOOMS_S if step > span_s]
        less = [step for step in ZOOMS_S if step < span_s]
        chosen = (more[:1] if direction > 0 else less[-1:]) or [span_s]
        self._zoom_s = chosen[0]
        shown = span(chosen[0]) if math.isfinite(chosen[0]) else "the whole session"
        self.say(f"charts span {shown}")

    def session(self) -> Session | None:
        """What can be walked through, and where one stands; `None` before the first figures."""
        begin_s, end_s = self.history.oldest_s, self.history.newest_s
        if begin_s is None or end_s is None:
            return None
        cursor_s = self.playhead.cursor_s
        at_s = end_s if cursor_s is None else cursor_s
        return Session(begin_s, max(end_s, at_s), at_s, self._clock_shift_s)

    def stops(self) -> list[Stop]:
        """The events and spikes that are remembered, in order of time."""
        return stops_of(self._log.lines, self.history)

    def next_stop(self, at_s: float, direction: int) -> Stop | None:
        """The nearest event or spike after a moment, or before it."""
        return next_stop(self.stops(), at_s, direction)

    def all_events(self) -> list[Stop]:
        """What the list of events shows: those, and what keys were answered."""
        quiet = [
            Stop(entry.wall_s, entry.kind, entry.text, entry.clock_shift_s)
            for entry in self._log.lines
            if entry.kind in QUIET_KINDS
        ]
        return sorted([*self.stops(), *quiet], key=lambda stop: stop.wall_s)

    @property
    def all_tried(self) -> tuple[Tried, ...]:
        """What the table of what was tried shows."""
        return self.tried.records
