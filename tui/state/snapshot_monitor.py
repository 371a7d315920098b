"""The state behind the screen of a snapshot: one moment, and nothing that goes on."""

import math
import time
from collections.abc import Callable
from dataclasses import replace

from ...engine.protocol import WINDOW_SECONDS, Command, Report, RequestTimeline
from ...engine.records.snapshot import Snapshot
from ..settings.config import Config
from .kept_screen import history_of, screen_of
from .moment import MarkKind, Moment, SessionMark
from .monitor import Monitor
from .playhead import Timeline


class NoEngine:
    """An `EngineClient` over nothing: a snapshot was saved, and that is all."""

    def poll(self) -> list[Report]:
        return []

    def send(self, command: Command) -> None:
        """Nobody is there to be asked."""

    def close(self) -> None:
        """Nothing is held."""


class SnapshotMonitor(Monitor):
    """Shows what a snapshot holds. Time stands still, but for the answers to keys."""

    read_only = True
    read_only_words = "this is a snapshot: what was served then cannot be changed now"

    def __init__(
        self,
        snapshot: Snapshot,
        config: Config | None = None,
        *,
        user_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        kept = screen_of(snapshot)
        shown = kept.moment
        super().__init__(
            NoEngine(),
            config,
            clock=lambda: shown.now_s,
            user_clock=user_clock,
            clock_to_wall_s=shown.wall_s - shown.now_s,
        )
        self.snapshot, self.kept = snapshot, kept
        self.history = history_of(snapshot, kept.stretch)
        self.versions = snapshot.versions
        self.tried.recall(snapshot.tried)
        self.plan_texts = None if snapshot.plan is None else snapshot.plan.texts
        # What keys ask for is judged by what was served, and refused by a line.
        self._frame, self._worker = snapshot.frame, shown.worker
        self._window = snapshot.settings.window
        self._kept_moment = shown

    def moment(self) -> Moment:
        """The moment that was kept, over the window that is chosen now."""
        kept = self._kept_moment
        answered = super().moment().answer
        return replace(
            kept,
            window=self._window,
            # While a key is answered: a switch that was the last event would hide it.
            log=(*kept.log, answered) if answered else kept.log,
            answer=answered or (None if self._answer else kept.answer),
            mark=self.mark(),
        )

    def timeline(self) -> Timeline:
        """The stretch that was kept; of another window as much as there is of it."""
        stretch = self.kept.stretch
        span_s = math.inf if stretch.span_s is None else stretch.span_s
        window_s = math.inf if stretch.window_s is None else stretch.window_s
        if self._window != self.snapshot.settings.window:
            span_s = window_s = WINDOW_SECONDS.get(self._window, span_s)
        return Timeline(
            history=self.history,
            now_s=stretch.now_s,
            end_s=stretch.end_s,
            span_s=span_s,
            window_s=window_s,
            cursor_s=stretch.cursor_s,
        )

    def mark(self) -> SessionMark:
        return SessionMark(MarkKind.KEPT, self.snapshot.frame.uptime_s)

    def inspect_request(self, key: str | None) -> None:
        """Only the timeline of the request that was looked at was kept."""
        kept = self._kept_moment.requests
        at_first = self.kept.moment.requests
        timeline = at_first.timeline if key == at_first.inspected else None
        if key is not None and timeline is None:
            timeline = RequestTimeline(request_id=int(key.partition(".")[2]), state=None, at_s=0.0)
        requests = replace(kept, inspected=key, timeline=timeline)
        self._kept_moment = replace(self._kept_moment, requests=requests)
