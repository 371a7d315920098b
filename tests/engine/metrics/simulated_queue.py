"""A first-come queue with deterministic service that reports to `Metrics`, as an engine does.

Time goes in ticks of a twentieth of a second. A request in one of the `slots` gets a token a tick.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from prodtop.engine.metrics.collector import Metrics
from prodtop.engine.protocol import SwitchEffect

TICK_S = 0.05


@dataclass(eq=False)
class SimulatedRequest:
    """What `Metrics` reads of a request while it runs."""

    arrival_at_s: float
    queued_at_s: float | None = None
    scheduled_at_s: float | None = None
    first_token_at_s: float | None = None
    first_byte_at_s: float | None = None
    last_token_at_s: float | None = None
    token_times_s: Sequence[float] = field(default_factory=tuple)
    num_output_tokens: int = 0
    num_prompt_tokens: int = 1
    cached_prompt_tokens: int = 0
    last_gap_s: float | None = None
    max_tokens: int = 1
    finish_reason: str | None = None


class SimulatedQueue:
    """Serves arrivals at `rate_per_s`, or with `users` each one's next request as soon as its last
    has ended. All may be set at any time."""

    def __init__(
        self,
        *,
        slots: int,
        service_ticks: int,
        rate_per_s: float = 0.0,
        users: int = 0,
        seed: int | None = None,
    ) -> None:
        """With a `seed` arrivals at a rate are Poisson's, else evenly spaced."""
        self._random = None if seed is None else np.random.default_rng(seed)
        self.slots, self.service_ticks = slots, service_ticks
        self.rate_per_s, self.users = rate_per_s, users
        self.now_s = 0.0
        self.metrics = Metrics(0.0)
        self.waiting: deque[SimulatedRequest] = deque()
        self.running: list[SimulatedRequest] = []
        self._due = 0.0

    def run(self, seconds: float) -> None:
        """Let that much time go by."""
        for _ in range(round(seconds / TICK_S)):
            self.now_s += TICK_S
            self._arrive()
            self._step()
            self.metrics.on_memory(1_000_000, self.now_s)

    def pause(self, seconds: float) -> None:
        """Nothing happens; arrivals in the open loop are noticed at its end."""
        self.now_s += seconds
        self._due += self.rate_per_s * seconds

    def switch(self, kind: str, old: str, new: str, took_s: float = 0.0) -> None:
        """A switch takes effect; changing the settings is the caller's."""
        began_s = self.now_s
        self.pause(took_s)
        self.metrics.on_switch(kind, old, new, self.now_s, began_s)

    def effect(self) -> SwitchEffect:
        effect = self.metrics.switches.effect(self.now_s)
        assert effect is not None
        return effect

    def _arrive(self) -> None:
        expected = self.rate_per_s * TICK_S
        self._due += expected if self._random is None else self._random.poisson(expected)
        missing = self.users - len(self.waiting) - len(self.running) if self.users else 0
        for _ in range(max(missing, int(self._due))):
            request = SimulatedRequest(self.now_s, queued_at_s=self.now_s)
            self.metrics.on_submitted(self.now_s, self.now_s, request)
            self.waiting.append(request)
        self._due -= int(self._due)

    def _step(self) -> None:
        while self.waiting and len(self.running) < self.slots:
            request = self.waiting.popleft()
            request.scheduled_at_s = self.now_s
            self.running.append(request)
        for request in self.running:
            request.num_output_tokens += 1
            request.last_token_at_s = self.now_s
            if request.first_token_at_s is None:
                request.first_token_at_s = request.first_byte_at_s = self.now_s
        rows = len(self.running)
        if rows:
            self.metrics.on_step(self.now_s, decode_tokens=rows, rows=rows, device_s=TICK_S)
        for request in [r for r in self.running if r.num_output_tokens >= self.service_ticks]:
            self.running.remove(request)
            self.metrics.on_finished(request, self.now_s)
