"""Tokens, requests and steps per second, each kind counted apart."""

import math
from dataclasses import dataclass

from ..protocol import RATE_SPAN_S, WINDOW_SECONDS, Throughput, Window
from .windows import WindowedCounter

_CAPACITY_S = WINDOW_SECONDS[Window.M5]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What was counted over a span of `duration_s` seconds.

    `prefill_tokens` are prompt tokens computed (again, after a preemption, counts again);
    `decode_tokens` are tokens generated, the first of each request included; `cached_tokens` are
    prompt tokens taken from the prefix cache and output tokens taken from the response cache, the
    latter alone `cached_output_tokens`. A row is one sequence in one step; `ghost_rows` are those
    whose sequence had finished.
    """

    duration_s: float
    prefill_tokens: int
    decode_tokens: int
    cached_tokens: int
    cached_output_tokens: int
    rows: int
    ghost_rows: int
    steps: int
    arrivals: int
    ended: int

    @property
    def batch_waste(self) -> float | None:
        """Rows computed for finished sequences over rows computed; `None` where there were none."""
        return self.ghost_rows / self.rows if self.rows else None

    @property
    def mean_batch_rows(self) -> float | None:
        """Rows per step; `None` where there was no step."""
        return self.rows / self.steps if self.steps else None


class ThroughputMeter:
    """Counts steps and requests as they come: rates and totals."""

    def __init__(self, start_s: float) -> None:
        def counter() -> WindowedCounter:
            return WindowedCounter(start_s, capacity_s=_CAPACITY_S)

        self._start_s = start_s
        self._prefill = counter()
        self._decode = counter()
        self._cached = counter()
        self._cached_outputs = counter()
        self._rows = counter()
        self._ghost_rows = counter()
        self._steps = counter()
        self._arrivals = counter()
        self._rejected = counter()
        self._ended = counter()

    def on_step(
        self,
        now_s: float,
        *,
        prefill_tokens: int,
        decode_tokens: int,
        cached_tokens: int,
        rows: int,
        ghost_rows: int,
    ) -> None:
        """Count one step of the engine that ended at `now_s`.

        A prompt's last chunk yields the request's first token: it counts among `decode_tokens`, its
        prompt tokens among `prefill_tokens`. `rows` includes `ghost_rows`.
        """
        self._steps.add(1, now_s)
        self._prefill.add(prefill_tokens, now_s)
        self._decode.add(decode_tokens, now_s)
        self._cached.add(cached_tokens, now_s)
        self._rows.add(rows, now_s)
        self._ghost_rows.add(ghost_rows, now_s)

    def on_arrival(self, now_s: float) -> None:
        """Count a request that came."""
        self._arrivals.add(1, now_s)

    def on_rejected(self, number: int, now_s: float) -> None:
        """Count requests that came and found the queue full."""
        self._arrivals.add(number, now_s)
        self._rejected.add(number, now_s)

    def on_ended(self, now_s: float, *, cached_tokens: int = 0) -> None:
        """Count a request that finished, with the output tokens the response cache gave it."""
        self._ended.add(1, now_s)
        self._cached.add(cached_tokens, now_s)
        self._cached_outputs.add(cached_tokens, now_s)

    def over(self, span_s: float, now_s: float) -> Totals:
        """What was counted in the last `span_s` seconds: up to 300, or infinite for all."""
        steps, duration_s = self._steps.over(span_s, now_s)

        def amount(counter: WindowedCounter) -> int:
            return round(counter.over(span_s, now_s)[0])

        return Totals(
            duration_s=duration_s,
            prefill_tokens=amount(self._prefill),
            decode_tokens=amount(self._decode),
            cached_tokens=amount(self._cached),
            cached_output_tokens=amount(self._cached_outputs),
            rows=amount(self._rows),
            ghost_rows=amount(self._ghost_rows),
            steps=round(steps),
            arrivals=amount(self._arrivals),
            ended=amount(self._ended),
        )

    def totals(self, now_s: float) -> Totals:
        """What was counted since the start."""
        return self.over(math.inf, now_s)

    def decode_tok_s(self, span_s: float, now_s: float) -> float:
        """Tokens generated per second over the last `span_s`."""
        return self._decode.rate(span_s, now_s)

    def requests_per_s(self, span_s: float, now_s: float) -> float:
        """Requests finished per second over the last `span_s`."""
        return self._ended.rate(span_s, now_s)

    def rates(self, now_s: float) -> Throughput:
        """The rates over the last `RATE_SPAN_S`."""
        recent = self.over(RATE_SPAN_S, now_s)

        def rate(counter: WindowedCounter) -> float:
            return counter.rate(RATE_SPAN_S, now_s)

        return Throughput(
            prefill_tok_s=rate(self._prefill),
            decode_tok_s=rate(self._decode),
            cached_tok_s=rate(self._cached),
            requests_per_s=rate(self._ended),
            arrivals_per_s=rate(self._arrivals),
            rejected_per_s=rate(self._rejected),
            steps_per_s=rate(self._steps),
            mean_batch_rows=recent.mean_batch_rows,
            batch_waste=recent.batch_waste,
        )
