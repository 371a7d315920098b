"""The effect of a switch: what was steady before it, and what is since."""

from dataclasses import dataclass

from ..protocol import Summary, SwitchEffect
from .latency import RequestLatency, Timed
from .steady import ENOUGH_S, LONGEST_S, SteadyMeter

REFINE_INTERVAL_S = 1.0
"""Percentiles of some thousand requests take some milliseconds."""


@dataclass(frozen=True, slots=True)
class _Switch:
    changes: dict[str, tuple[str, str]]
    """What it changed, by kind: old and new."""
    at_s: float
    before: Summary | None


class SwitchTracker:
    """Measures the effect of the last switch; fed with every request, step and frame.

    Steady states are compared (see `SteadyMeter`): what came after a switch with what was before
    it. Where there was nothing steady between two switches, the two are one.
    """

    def __init__(self, start_s: float) -> None:
        self._meter = SteadyMeter(start_s)
        self._switch: _Switch | None = None
        self._steady: Summary | None = None
        self._so_far: Summary | None = None
        self._after: Summary | None = None
        self._refine_at_s = start_s

    def on_decode(self, tokens: int, now_s: float) -> None:
        """`tokens` were generated."""
        self._meter.on_decode(tokens, now_s)

    def on_memory(self, used_bytes: int, now_s: float) -> None:
        """The engine's process holds `used_bytes` on its device: report it with every frame."""
        self._meter.on_memory(used_bytes, now_s)

    def on_arrival(self, arrival_at_s: float, now_s: float, request: Timed | None) -> None:
        """A request is in the system; without `request` it counts, and has no latency."""
        self._meter.on_arrival(arrival_at_s, now_s, request)

    def on_finished(self, request: Timed, latency: RequestLatency, now_s: float) -> None:
        """A request ended as it should."""
        self._meter.on_finished(request, latency, now_s)

    def on_failed(self, now_s: float, request: Timed | None) -> None:
        """A request ended without its answer."""
        self._meter.on_failed(now_s, request)

    def on_pause(self, began_s: float, now_s: float) -> None:
        """The engine stood still until now: what is steady begins anew."""
        self._refine(began_s, now_s)
        self._meter.begin(now_s)

    def on_preparing(self, now_s: float) -> None:
        """What serves until now only stands in for what comes: nothing of it is steady."""
        self._meter.begin(now_s)

    def on_switch(
        self, kind: str, old: str, new: str, now_s: float, began_at_s: float | None = None
    ) -> None:
        """A switch took effect; it was begun at `began_at_s` (packing weights takes a while).

        One that follows another before anything was steady extends it: walking from bf16 over int8
        to int4 compares int4 with bf16. Walking back leaves nothing to compare.
        """
        before = self._meter.steady(now_s if began_at_s is None else began_at_s, now_s)
        before = before or self._steady
        changes: dict[str, tuple[str, str]] = {}
        if before is None and self._switch is not None:
            changes, before = dict(self._switch.changes), self._switch.before
        changes[kind] = (changes[kind][0] if kind in changes else old, new)
        changes = {each: (was, now) for each, (was, now) in changes.items() if was != now}
        self._meter.begin(now_s)
        self._switch = _Switch(changes, now_s, before) if changes else None
        # Back where it was: that is still known.
        self._steady = None if changes else before
        self._after = self._so_far = None
        self._refine_at_s = now_s

    def effect(self, now_s: float) -> SwitchEffect | None:
        """The last switch with its effect as far as measured; `None` where there was none."""
        self._refresh(now_s)
        switch = self._switch
        if switch is None:
            return None
        return SwitchEffect(
            kind=" + ".join(switch.changes),
            old=", ".join(old for old, _ in switch.changes.values()),
            new=", ".join(new for _, new in switch.changes.values()),
            at_s=switch.at_s,
            before=switch.before,
            after=self._after,
            so_far=None if self._after is not None else self._so_far,
        )

    def steady(self, now_s: float) -> Summary | None:
        """What the settings in use do since they settled; `None` before that."""
        self._refresh(now_s)
        return self._steady

    def _refresh(self, now_s: float) -> None:
        if now_s >= self._refine_at_s:
            self._refine_at_s = now_s + REFINE_INTERVAL_S
            self._refine(now_s, now_s)

    def _refine(self, until_s: float, now_s: float) -> None:
        steady = self._meter.steady(until_s, now_s)
        if steady is not None:
            self._steady = steady
            if not _is_final(self._after):
                self._after = steady
        elif self._after is None:
            self._so_far = self._meter.so_far(now_s)


def _is_final(after: Summary | None) -> bool:
    """Whether a comparison stands: long enough, with a TTFT that is known."""
    if after is None or after.span_s < ENOUGH_S:
        return False
    open_ended = after.growing or (after.ttft_p95 is not None and after.ttft_p95.at_least)
    return after.span_s >= LONGEST_S or not open_ended
