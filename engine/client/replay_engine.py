"""A recording played as if it were an engine: the screen over it is the one that was live then."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..protocol import Command, InspectRequest, Ready, Report, RequestTimeline
from ..records.recording.reader import Recording
from ..records.recording.stored_events import StoredEvent
from ..records.recording.sweep_state import SweepState
from ..records.recording.tick import Tick

SPEEDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
RECENT_S = 60.0
"""Before a moment that is sought, so much is known at full resolution."""

LIVING_TICKS = 8
"""Before a moment that is sought, the last of so many ticks usually told of the requests in the
system; what earlier ones told is only looked at where none of these did."""


class Past(NamedTuple):
    """What was before a moment: events, what tells of sweeps before those, and the ticks of the
    last `RECENT_S`."""

    of_sweeps: list[StoredEvent]
    events: list[StoredEvent]
    recent: list[Tick]


class ReplayEngine:
    """An `EngineClient` over a recording. One poll gives what one poll gave then.

    `clock` is the user's; `time_s` is the recording's, and where it stands now.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        speed: float = 1.0,
        loop: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.recording = recording
        self.loop = loop
        self.on_sweep: Callable[[SweepState], None] = lambda _: None
        """Told what was asked for of sweeps, before the reports of its poll."""
        self._clock = clock
        self._speed = speed
        self._paused = False
        self._answers: list[Report] = []
        self._anchor_s = clock()
        self._anchor_at_s = self._shown_s = recording.began_clock_s
        self._coming: Iterator[Tick] = iter(())
        self._next: Tick | None = None
        self.number = 0
        """Of the tick that comes next."""
        self._stand_before(recording.first_tick)

    # Time

    def time_s(self) -> float:
        """Where the screen stands, on the recording's clock."""
        return self._shown_s

    def played_s(self) -> float:
        """Since the beginning of the recording."""
        return self._shown_s - self.recording.began_clock_s

    @property
    def length_s(self) -> float:
        return self.recording.ended_clock_s - self.recording.began_clock_s

    @property
    def at_end(self) -> bool:
        return self._next is None

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def speed(self) -> float:
        return self._speed

    def _now_s(self) -> float:
        """Where it has got to, on the recording's clock."""
        if self._paused:
            return self._anchor_at_s
        played_s = (self._clock() - self._anchor_s) * self._speed
        return min(self._anchor_at_s + played_s, self.recording.ended_clock_s)

    def _anchor(self, at_s: float) -> None:
        """It stands at a time now, and goes on from there."""
        self._anchor_at_s, self._anchor_s = at_s, self._clock()

    # What the user does

    def set_paused(self, paused: bool) -> None:
        """Stand still, or go on; at the end there is nothing to go on with."""
        self._anchor(self._now_s())
        self._paused = paused

    def set_speed(self, speed: float) -> None:
        """Go on at another speed: 1 is as it was."""
        self._anchor(self._now_s())
        self._speed = speed

    def lag(self) -> None:
        """The screen cannot keep up: go on from where it is."""
        self._anchor(self._shown_s)

    def step(self) -> None:
        """Stand still at the next tick, which the next poll gives."""
        self._paused = True
        if self._next is not None:
            self._anchor(self._next.clock_s)

    def seek(self, number: int) -> Past:
        """Stand at a tick, which the next poll gives; returns what was before it."""
        recording = self.recording
        number = min(max(number, recording.first_tick), recording.last_tick)
        at_s = recording.time_of(number)
        self._anchor(at_s)
        self._shown_s = at_s
        first = recording.tick_at(at_s - RECENT_S)
        recent = self._stand_at(first, number, max(first, number - LIVING_TICKS))
        if not any(tick.live is not None for tick in recent):
            recent = self._stand_at(first, number, first)
        return Past(*recording.past(number), recent)

    def _stand_at(self, first: int, number: int, living_from: int) -> list[Tick]:
        """Stand before a tick; returns those from `first` up to it, and from `living_from` on with
        the requests in the system."""
        self._stand_before(first, living_from)
        passed: list[Tick] = []
        while self._next is not None and self.number < number:
            passed.append(self._next)
            self._next = next(self._coming, None)
            self.number += 1
        return passed

    def look_at(self, time_s: float) -> None:
        """Have the screen stand at a time of the past, while it takes in what was then."""
        self._shown_s = time_s

    def _stand_before(self, number: int, living_from: int = 0) -> None:
        self._coming = self.recording.ticks(number, living_from=living_from)
        self._next = next(self._coming, None)
        self.number = number

    # An engine, as the screen sees it

    @property
    def due(self) -> bool:
        """Whether the next poll gives something."""
        next_at = None if self._next is None else self._next.clock_s
        return bool(self._answers) or (next_at is not None and next_at <= self._now_s())

    def poll(self) -> list[Report]:
        """The reports of the next tick, if it is time for it; `time_s` is then that tick's."""
        tick = self._next
        if tick is None or tick.clock_s > self._now_s():
            self._shown_s = max(self._shown_s, self._now_s())
            answers, self._answers = self._answers, []
            return answers
        for state in tick.sweeps:
            self._shown_s = min(max(state.clock_s, self._shown_s), tick.clock_s)
            self.on_sweep(state)
        self._shown_s = tick.clock_s
        self._next = next(self._coming, None)
        self.number += 1
        return tick.reports()

    def send(self, command: Command) -> None:
        """Nothing can be asked for, but a request's timeline: that was told then, or never will."""
        if isinstance(command, InspectRequest) and command.request_id is not None:
            self._answers.append(self._timeline_of(command.request_id))

    def _timeline_of(self, request_id: int) -> RequestTimeline:
        """As it was last told of this worker's request by now; unknown where it never was."""
        recording = self.recording
        for stored in reversed(recording.events(recording.first_tick, self.number)):
            match stored.event:
                case RequestTimeline(request_id=told) if told == request_id:
                    return stored.event
                case Ready():
                    break
                case _:
                    pass
        return RequestTimeline(request_id=request_id, state=None, at_s=0.0)

    def close(self) -> None:
        """Let go of the file."""
        self.recording.close()
