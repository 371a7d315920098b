"""When the engine stood still: a switch of precision, a kernel compiled, the process stopped.

A switch says so itself. Otherwise the engine shows that it lives with every step, request and
frame; a silence that is much longer than its steps have been was none of them.
"""

from collections import deque

LEAST_PAUSE_S = 1.0
TIMES_LONGEST = 3.0
"""A pause is so many times longer than the second-longest of the last steps. The second: one long
step is a pause; one that comes again is how this engine computes."""

_STEPS = 256
_KEPT = 256


class Pauses:
    """Notes pauses, and says how much of any span they took. Times are monotonic, in seconds."""

    def __init__(self, start_s: float) -> None:
        self.total_s = 0.0
        self._alive_at_s = start_s
        self._steps_s: deque[float] = deque(maxlen=_STEPS)
        self._pauses: deque[tuple[float, float]] = deque(maxlen=_KEPT)

    def on_alive(self, now_s: float, *, stepped: bool = False) -> float | None:
        """The engine works at `now_s`, and has `stepped`. Where it comes from a pause, its begin is
        returned."""
        began_s = self._alive_at_s
        silent_s = now_s - began_s
        paused = silent_s > LEAST_PAUSE_S and silent_s > TIMES_LONGEST * self._usual_s()
        if paused:
            self._note(began_s, now_s)
        if stepped:
            self._steps_s.append(silent_s)
        self._alive_at_s = max(began_s, now_s)
        return began_s if paused else None

    def add(self, began_s: float, ended_s: float) -> None:
        """The engine stood still from `began_s`, or since it was last seen alive, to `ended_s`."""
        began_s = max(began_s, self._alive_at_s)
        if ended_s > began_s:
            self._note(began_s, ended_s)
            self._alive_at_s = ended_s

    def within(self, from_s: float, to_s: float) -> float:
        """How many seconds of a span were pauses, of the last few hundred."""
        taken_s = 0.0
        for began_s, ended_s in reversed(self._pauses):
            if ended_s <= from_s:
                break
            taken_s += max(0.0, min(ended_s, to_s) - max(began_s, from_s))
        return taken_s

    def _note(self, began_s: float, ended_s: float) -> None:
        self._pauses.append((began_s, ended_s))
        self.total_s += ended_s - began_s

    def _usual_s(self) -> float:
        return sorted(self._steps_s)[-2] if len(self._steps_s) > 1 else 0.0
