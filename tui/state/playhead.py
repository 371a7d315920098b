"""Where the display stands in time: live, or frozen with a cursor that walks the history."""

import math
from dataclasses import dataclass, replace

from .history import History, Kept


@dataclass(frozen=True, slots=True)
class _Frozen:
    """The history's end when the display was frozen, the cursor, and what was known there."""

    end_s: float
    cursor_s: float
    then: Kept | None


class Playhead:
    """A place in the history. All times are Unix times."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._frozen: _Frozen | None = None

    @property
    def frozen(self) -> bool:
        return self._frozen is not None

    @property
    def cursor_s(self) -> float | None:
        """The moment that is shown; `None` while live."""
        return self._frozen.cursor_s if self._frozen else None

    @property
    def then(self) -> Kept | None:
        """What was known at the cursor; `None` while live."""
        return self._frozen.then if self._frozen else None

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

    def scrub_to(self, end: str) -> None:
        """To the `start` or the `end` of the history."""
        self.freeze()
        self._stand_at(-math.inf if end == "start" else math.inf)

    def _stand_at(self, cursor_s: float) -> None:
        oldest_s = self._history.oldest_s
        if self._frozen is None or oldest_s is None:
            return
        within_s = min(max(cursor_s, oldest_s), self._frozen.end_s)
        self._frozen = replace(self._frozen, cursor_s=within_s, then=self._history.at(within_s))
