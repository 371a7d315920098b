"""Where the display stands in time: live, or frozen with a cursor that walks the history; and the
stretch of the history that the charts show there."""

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..drawing.chart_data import Mark, Series, Stroke
from ..style.inks import Ink
from .history import History, PastMoment

MARK_INKS = {"switch": Ink.MARK, "fault": Ink.BAD, "note": Ink.ACCENT}


@dataclass(frozen=True, slots=True)
class _Frozen:
    """The history's end when the display was frozen, the cursor, and the moment there."""

    end_s: float
    cursor_s: float
    at_cursor: PastMoment | None


class Playhead:
    """A place in the history. All times are Unix times."""

    def __init__(
        self, history: History, recorded: Callable[[float], PastMoment | None] | None = None
    ) -> None:
        """`recorded` gives a moment that the history has thinned, where something else has it."""
        self._history, self._recorded = history, recorded
        self._frozen: _Frozen | None = None

    @property
    def frozen(self) -> bool:
        return self._frozen is not None

    @property
    def cursor_s(self) -> float | None:
        """The moment that is shown; `None` while live."""
        return self._frozen.cursor_s if self._frozen else None

    @property
    def at_cursor(self) -> PastMoment | None:
        """What the history holds at the cursor; `None` while live."""
        return self._frozen.at_cursor if self._frozen else None

    def chart_end_s(self, now_s: float, span_s: float) -> float:
        """The right end of charts that span `span_s`: now; while frozen, when it was frozen, unless
        the cursor has walked out at the left: then the charts follow it."""
        if self._frozen is None:
            return now_s
        if self._frozen.cursor_s >= self._frozen.end_s - span_s:
            return self._frozen.end_s
        return min(self._frozen.end_s, self._frozen.cursor_s + span_s / 2)

    def toggle(self) -> None:
        if self.frozen:
            self.go_live()
        else:
            self.freeze()

    def freeze(self) -> None:
        """Stand at the newest moment; nothing happens before there is one."""
        newest_s = self._history.newest_s
        if newest_s is not None and self._frozen is None:
            self._frozen = _Frozen(newest_s, newest_s, self._history.at(newest_s))

    def go_live(self) -> None:
        self._frozen = None

    def scrub(self, seconds: float) -> None:
        """Walk the cursor along the history, freezing the display first if it is live."""
        self.freeze()
        if self._frozen is not None:
            self._stand_at(self._frozen.cursor_s + seconds)

    def stand_at(self, wall_s: float) -> None:
        """Stand at a moment of the history, freezing the display first if it is live."""
        self.freeze()
        self._stand_at(wall_s)

    def scrub_to(self, end: str) -> None:
        """To the `start` or the `end` of the history."""
        self.freeze()
        self._stand_at(-math.inf if end == "start" else math.inf)

    def _stand_at(self, cursor_s: float) -> None:
        oldest_s = self._history.oldest_s
        if self._frozen is None or oldest_s is None:
            return
        within_s = min(max(cursor_s, oldest_s), self._frozen.end_s)
        self._frozen = replace(self._frozen, cursor_s=within_s, at_cursor=self._at(within_s))

    def _at(self, wall_s: float) -> PastMoment | None:
        recorded = None
        if self._recorded is not None and wall_s < self._history.whole_since_s:
            recorded = self._recorded(wall_s)
        return recorded or self._history.at(wall_s)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The stretch of the history that every chart shows. `cursor_s` is `None` while live.

    `window_s` is how long the window is that the figures are over: `span_s`, but where charts take
    more, so that they need not creep.
    """

    history: History
    now_s: float
    end_s: float
    span_s: float
    window_s: float
    cursor_s: float | None = None
    later: History | None = None
    """What came after `history` ends, where that is known and is to be seen as well."""

    def curve(
        self,
        column: str,
        name: str,
        *,
        stroke: Stroke = Stroke.LINE,
        ink: int | None = None,
    ) -> Series:
        """A column of the history as a curve."""
        samples = self.history.series(column, self.end_s - self.span_s, self.end_s)
        newest_s = self.history.newest_s
        if self.later is not None and newest_s is not None:
            after = self.later.series(column, newest_s, self.end_s)
            place = bisect_right(after.times_s, newest_s)
            before = bisect_right(samples.times_s, newest_s)
            return Series(
                name,
                samples.times_s[:before] + after.times_s[place:],
                samples.values[:before] + after.values[place:],
                stroke,
                ink,
            )
        return Series(name, samples.times_s, samples.values, stroke, ink)

    def marks(self) -> list[Mark]:
        """The switches and faults within the stretch, in the inks of their kinds."""
        return [
            Mark(mark.wall_s, mark.label, MARK_INKS[mark.kind])
            for mark in (self.later or self.history).marks(self.end_s - self.span_s, self.end_s)
        ]
