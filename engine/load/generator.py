"""The load on the engine: says at any moment which requests have arrived by then."""

import heapq
import math
from collections.abc import Sequence

from ..protocol import LoadSpec
from .arrivals import ArrivalTimes, GapLaw, Stream, random_stream
from .counted_arrivals import CountedArrivals
from .prompts import Prompt
from .rate_curve import rate_curve, user_ramp
from .sequence import Arrival, RequestSequence

MOST_DUE = 2**20
"""Arrivals of an open loop that one look counts at most: tens of milliseconds of work, and more
than come in ten seconds at the highest rate. Those left over are counted by the next look."""
_SAME = 1e-9
"""A ramp that lacks so much of a whole user has come to it."""
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0
"""How long users of a closed loop wait after a refusal: twice as long each time, up to this."""


class LoadGenerator(CountedArrivals):
    """A closed or an open loop, changeable while it runs. Time is always an argument, in seconds.

    Closed loop: each user has one request in the system, and asks for the next one `think_s` after
    the last ended. Open loop: requests arrive by the spec's law, however many are in the system;
    those that find no room are rejected, and cost nothing but being counted. Ramps and bursts begin
    with the load, and anew after a pause.

    Each look is `arrive`, then `take` for as many as the caller has time for: what has arrived and
    was not taken is taken with the next look.
    With a `limit`, that many requests are made and no more. They are those of `RequestSequence`, in
    order, whatever the timing, and each arrives when it should have, whenever the worker gets to
    look. Raises BadInputError for an impossible spec.
    """

    def __init__(
        self, spec: LoadSpec, prompts: Sequence[Prompt], now_s: float, limit: int | None = None
    ) -> None:
        super().__init__()
        self._prompts = prompts
        self._sequence = RequestSequence(spec, prompts)
        self.spec = spec
        self._limit = limit
        self._ready_s: list[float] = []
        """Closed loop: when each user without a request asks for one; a heap."""
        self._backoff_s = 0.0
        self._retry_at_s = float("-inf")
        """Closed loop: before this no user whose request was refused asks again."""
        self._random = random_stream(spec.seed, Stream.GAPS)
        self._times: ArrivalTimes | None = None
        """Open loop: when the next ones arrive."""
        self._wanted_users = 0
        self._began_s = now_s
        """When ramps and bursts began."""
        self._ramp = user_ramp(spec)
        self._plan_arrivals(now_s)
        self._fit_users(now_s)

    @property
    def exhausted(self) -> bool:
        """Whether the limit is reached; never without one."""
        return self._limit is not None and self._made >= self._limit

    def arrive(self, now_s: float, room: int | None = None) -> None:
        """Open loop: let arrive what is due by `now_s`, `MOST_DUE` requests at most. Closed loop:
        let come and go the users of a ramp.

        `room` is how many may wait to be taken, those from earlier looks too; the rest of them are
        rejected. `None`: all may.
        """
        if self.spec.paused:
            return
        if self._ramp is not None:
            self._fit_users(now_s)
        if self._times is None:
            return
        most = MOST_DUE if self._limit is None else min(MOST_DUE, self._limit - self._made)
        while most > 0 and (times_s := self._times.pop_due(now_s, most)):
            most -= len(times_s)
            kept = self._fitting(len(times_s), room)
            self._come(times_s[:kept], kept, len(times_s))

    def take(self, now_s: float) -> Arrival | None:
        """The next request that has arrived by `now_s`, in order of arrival; `None` if none has."""
        if self._arrived:
            number, at_s = self._arrived.popleft()
            return self._sequence.draw(number, at_s)
        if self._times is not None or self.spec.paused or self.exhausted:
            return None
        if not self._ready_s or self._ready_s[0] > now_s:
            return None
        arrival = self._sequence.draw(self._made, heapq.heappop(self._ready_s))
        self._made += 1
        self._in_flight += 1
        return arrival

    def next_due_s(self) -> float | None:
        """When the next request arrives; `None` where none will before something else happens."""
        if self._arrived:
            return self._arrived[0][1]
        if self.spec.paused or self.exhausted:
            return None
        if self._times is not None:
            return self._times.next_s
        asks_s = self._ready_s[0] if self._ready_s else None
        comes_s = None if self._ramp is None else self._ramp.next_whole_s(self._users)
        if comes_s is None:
            return asks_s
        comes_s += self._began_s
        return comes_s if asks_s is None else min(asks_s, comes_s)

    def on_done(self, now_s: float) -> None:
        """A request ended, well or not. In a closed loop its user thinks, or leaves if surplus.

        Raises ValueError where no request is in flight.
        """
        self._backoff_s = 0.0
        self._ask_again(now_s + self.spec.think_s)

    def on_refused(self, now_s: float) -> None:
        """A request was refused at once. In a closed loop its user waits before it asks again.

        Where all are refused, nothing else would take any time. A limited load comes to its end
        without. Raises ValueError where no request is in flight.
        """
        ready_s = now_s + self.spec.think_s
        if self._limit is None:
            if now_s >= self._retry_at_s:
                longer_s = max(FIRST_BACKOFF_S, 2 * self._backoff_s)
                self._backoff_s = min(longer_s, LONGEST_BACKOFF_S)
                self._retry_at_s = now_s + self._backoff_s
            ready_s = max(ready_s, self._retry_at_s)
        self._ask_again(ready_s)

    def set_spec(self, spec: LoadSpec, now_s: float) -> None:
        """Change the load from `now_s` on; requests in flight stay.

        New users ask at once; surplus users leave, those with a request when it ends. Nothing that
        would have arrived during a pause arrives after it. Raises BadInputError for an impossible
        spec, and keeps the old one.
        """
        self._sequence = RequestSequence(spec, self._prompts)
        old, self.spec = self.spec, spec
        if old.seed != spec.seed:
            self._random = random_stream(spec.seed, Stream.GAPS)
        resumed = old.paused and not spec.paused
        if resumed or (old.ramp, old.burst) != (spec.ramp, spec.burst):
            self._began_s = now_s
        self._ramp = user_ramp(spec)
        if resumed or _arrival_law(old) != _arrival_law(spec):
            self._plan_arrivals(now_s)
        if resumed:
            self._ready_s = [max(ready_s, now_s) for ready_s in self._ready_s]
        self._fit_users(now_s)

    def _ask_again(self, at_s: float) -> None:
        self._end_one()
        if self._users < self._wanted_users:
            heapq.heappush(self._ready_s, at_s)

    @property
    def _users(self) -> int:
        """Whoever has a request in flight counts as a user, also one from an open loop before."""
        return len(self._ready_s) + self._in_flight

    def _plan_arrivals(self, now_s: float) -> None:
        spec, curve = self.spec, rate_curve(self.spec)
        self._times = None
        if curve is not None:
            began_s, law = self._began_s, GapLaw(1.0, spec.burstiness, self._random)
            expected = curve.expected(now_s - began_s)
            self._times = ArrivalTimes(law, expected, lambda drawn: began_s + curve.times_s(drawn))
        elif spec.rate_per_s:
            law = GapLaw(spec.rate_per_s, spec.burstiness, self._random)
            self._times = ArrivalTimes(law, now_s)

    def _fit_users(self, now_s: float) -> None:
        """Let users come, or leave, until there are as many as there should be."""
        self._wanted_users = self.spec.users if self.spec.rate_per_s is None else 0
        if self._ramp is not None:
            self._wanted_users = math.floor(self._ramp.rate(now_s - self._began_s) + _SAME)
        missing = self._wanted_users - self._users
        if missing > 0:
            self._ready_s += self._coming_s(missing, now_s)
        elif missing < 0:
            # The heap may be cut anywhere once it is sorted: those who would have asked last leave.
            self._ready_s = sorted(self._ready_s)[: max(0, len(self._ready_s) + missing)]
        heapq.heapify(self._ready_s)

    def _coming_s(self, number: int, now_s: float) -> list[float]:
        """When the next users came, who are here by now: those of a ramp one after the other."""
        if self._ramp is None:
            return [now_s] * number
        here = self._users
        came_s = (self._ramp.next_whole_s(here + place) for place in range(number))
        return [now_s if at_s is None else min(now_s, self._began_s + at_s) for at_s in came_s]


def _arrival_law(spec: LoadSpec) -> tuple[object, ...]:
    return spec.rate_per_s, spec.burstiness, spec.seed, spec.ramp, spec.burst
