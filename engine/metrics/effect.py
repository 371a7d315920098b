"""The effect of a switch: what the engine did just before it, and what it does since."""

import math
from collections import deque
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from ..protocol import Summary, SwitchEffect
from .latency import RequestLatency
from .windows import WindowedCounter

BEFORE_S = 10.0
"""The longest span before a switch that is compared."""

AFTER_LEAST_S = 3.0
AFTER_MOST_S = 10.0
"""The span after a switch: shown from the first on, refined up to the second."""

AFTER_LIMIT_S = 60.0
"""How long to wait for requests to finish where they take longer than that."""

LEAST_BEFORE_S = 1.0
LEAST_REQUESTS = 3
"""Fewer requests than these make no percentile worth comparing."""

REFINE_INTERVAL_S = 0.25

_MOST_ENDED = 20_000


class _Ended(NamedTuple):
    """The latencies of a finished request that are compared, and when it ended."""

    at_s: float
    arrival_at_s: float
    ttft_s: float | None
    ttfb_s: float
    tpot_s: float | None


@dataclass(frozen=True, slots=True)
class _Switch:
    kind: str
    old: str
    new: str
    at_s: float
    before: Summary | None


class SwitchTracker:
    """Measures the effect of the last switch; fed with every request and frame.

    Latencies are compared over requests that arrived and ended on the same side of the switch: one
    that waited under the old strategy says nothing fair about the new one.
    """

    def __init__(self, start_s: float) -> None:
        self._since_s = start_s
        self._decode = WindowedCounter(start_s, capacity_s=AFTER_LIMIT_S + 2 * BEFORE_S)
        self._ended: deque[_Ended] = deque(maxlen=_MOST_ENDED)
        self._memory: deque[tuple[float, int]] = deque()
        self._switch: _Switch | None = None
        self._after: Summary | None = None
        self._final = False
        self._refine_at_s = start_s

    def on_decode(self, tokens: int, now_s: float) -> None:
        """`tokens` were generated."""
        self._decode.add(tokens, now_s)

    def on_memory(self, used_bytes: int, now_s: float) -> None:
        """The engine's process holds `used_bytes` on its device: report it with every frame."""
        self._memory.append((now_s, used_bytes))
        while len(self._memory) > 1 and self._memory[1][0] < now_s - AFTER_LIMIT_S:
            self._memory.popleft()

    def on_ended(self, latency: RequestLatency, arrival_at_s: float, now_s: float) -> None:
        """A request finished."""
        self._ended.append(
            _Ended(now_s, arrival_at_s, latency.ttft_s, latency.ttfb_s, latency.tpot_s)
        )
        horizon_s = now_s - AFTER_LIMIT_S
        while self._ended[0].at_s < horizon_s:
            self._ended.popleft()

    def on_switch(
        self, kind: str, old: str, new: str, now_s: float, began_at_s: float | None = None
    ) -> None:
        """A switch took effect; it was begun at `began_at_s` (packing weights takes a while).

        A switch of the same kind before the last one could be judged extends it: walking from bf16
        over int8 to int4 compares int4 with bf16. Walking back leaves nothing to compare.
        """
        last = self._switch
        if last is not None and last.kind == kind and self._after is None:
            old, before = last.old, last.before
        else:
            before = self._before(now_s if began_at_s is None else began_at_s, now_s)
        self._switch = None if old == new else _Switch(kind, old, new, now_s, before)
        self._after = None
        self._final = False
        self._refine_at_s = now_s + AFTER_LEAST_S
        self._since_s = now_s

    def effect(self, now_s: float) -> SwitchEffect | None:
        """The last switch with its effect as far as measured; `None` where there was none."""
        switch = self._switch
        if switch is None:
            return None
        if not self._final and now_s >= self._refine_at_s:
            self._refine_at_s = now_s + REFINE_INTERVAL_S
            self._refine(switch, now_s)
        return SwitchEffect(
            kind=switch.kind,
            old=switch.old,
            new=switch.new,
            at_s=switch.at_s,
            before=switch.before,
            after=self._after,
        )

    def _refine(self, switch: _Switch, now_s: float) -> None:
        elapsed_s = now_s - switch.at_s
        if elapsed_s > AFTER_LIMIT_S + BEFORE_S:
            # Nobody asked for a minute (a bench ran): what would be seen now is forgotten already.
            self._final = True
            return
        sample = self._sample(switch.at_s, switch.at_s, now_s)
        enough = len(sample) >= LEAST_REQUESTS
        self._final = elapsed_s >= (AFTER_MOST_S if enough else AFTER_LIMIT_S)
        if enough or elapsed_s >= AFTER_MOST_S:
            self._after = self._summary(sample, switch.at_s, now_s, now_s)

    def _before(self, until_s: float, now_s: float) -> Summary | None:
        from_s = max(self._since_s, until_s - BEFORE_S)
        if until_s - from_s < LEAST_BEFORE_S:
            return None
        sample = self._sample(from_s, self._since_s, until_s)
        return self._summary(sample, from_s, until_s, now_s)

    def _sample(self, from_s: float, arrived_from_s: float, until_s: float) -> list[_Ended]:
        """The requests that ended in the span, of those that arrived since `arrived_from_s`."""
        recent = takewhile(lambda ended: ended.at_s >= from_s, reversed(self._ended))
        return [
            ended
            for ended in recent
            if ended.at_s <= until_s and ended.arrival_at_s >= arrived_from_s
        ]

    def _summary(
        self, sample: list[_Ended], from_s: float, until_s: float, now_s: float
    ) -> Summary | None:
        """`None` where the memory was never observed, or too long ago."""
        memory = next((used for at_s, used in reversed(self._memory) if at_s <= until_s), None)
        if memory is None or until_s < now_s - AFTER_LIMIT_S:
            return None
        tokens, covered_s = self._decode.between(from_s, until_s, now_s)
        return Summary(
            decode_tok_s=tokens / covered_s if covered_s > 0.0 else 0.0,
            memory_bytes=memory,
            ttft_p95_ms=_p95_ms([each.ttft_s for each in sample]),
            ttfb_p95_ms=_p95_ms([each.ttfb_s for each in sample]),
            tpot_p95_ms=_p95_ms([each.tpot_s for each in sample]),
        )


def _p95_ms(durations_s: list[float | None]) -> float | None:
    """The 95th percentile (the smallest value that 95 % do not exceed); `None` for too few."""
    ordered_s = sorted(duration for duration in durations_s if duration is not None)
    if len(ordered_s) < LEAST_REQUESTS:
        return None
    return ordered_s[math.ceil(0.95 * len(ordered_s)) - 1] * 1e3
