"""Why requests wait: what kept them out of each step, and what sent running ones back."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from ..protocol import (
    RATE_SPAN_S,
    WINDOW_SECONDS,
    AdmissionCounts,
    PreemptionCause,
    Refusal,
    Window,
)
from .windows import WindowedCounter

Key = TypeVar("Key", Refusal, PreemptionCause)


class AdmissionMeter:
    """Counts what the scheduler says of each step that it planned."""

    def __init__(self, start_s: float) -> None:
        def counter() -> WindowedCounter:
            return WindowedCounter(start_s, capacity_s=WINDOW_SECONDS[Window.M5])

        self._steps = counter()
        self._refused = {refusal: counter() for refusal in Refusal}
        self._preempted = {cause: counter() for cause in PreemptionCause}
        self._newest: Refusal | None = None

    def on_plan(self, refusal: Refusal | None, preempted: int, now_s: float) -> None:
        """A step was planned. `refusal`: what kept the next waiting request out, if any waits.
        `preempted` running ones gave their blocks up for it."""
        self._newest = refusal
        self._steps.add(1, now_s)
        if refusal is not None:
            self._refused[refusal].add(1, now_s)
        if preempted:
            self._preempted[PreemptionCause.KV_BLOCKS].add(preempted, now_s)

    def on_switch(self, preempted: Sequence[object], now_s: float) -> None:
        """A switch sent running requests back to the queue."""
        if preempted:
            self._preempted[PreemptionCause.SWITCH].add(len(preempted), now_s)

    def over(self, span_s: float, now_s: float) -> AdmissionCounts:
        """What was counted in the last `span_s`: up to 300 s, or infinite for all."""

        def amounts(counters: Mapping[Key, WindowedCounter]) -> dict[Key, int]:
            counted = {key: each.over(span_s, now_s)[0] for key, each in counters.items()}
            return {key: round(amount) for key, amount in counted.items() if amount}

        return AdmissionCounts(
            steps=round(self._steps.over(span_s, now_s)[0]),
            refused=amounts(self._refused),
            preempted=amounts(self._preempted),
        )

    def now(self, now_s: float, span_s: float = RATE_SPAN_S) -> AdmissionCounts:
        """The last `span_s`; where a step takes longer than that, the step that runs."""
        counts = self.over(span_s, now_s)
        if counts.steps:
            return counts
        refused = {} if self._newest is None else {self._newest: 1}
        return AdmissionCounts(steps=1, refused=refused, preempted=counts.preempted)

    def all_windows(
        self, spans_s: Mapping[Window, float], now_s: float
    ) -> dict[Window, AdmissionCounts]:
        """The counts over every window."""
        return {window: self.over(span_s, now_s) for window, span_s in spans_s.items()}
