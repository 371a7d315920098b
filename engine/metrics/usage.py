"""What is to be paid for: the device's time by what it went to, and the energy that it took."""

from ..protocol import WINDOW_SECONDS, Roofline, Usage, Window
from .throughput import Totals
from .windows import WindowedCounter

_CAPACITY_S = WINDOW_SECONDS[Window.M5]


def prefill_share(prefill_tokens: int, decode_tokens: int) -> float:
    """The part of a step that goes to prompts: their share of the tokens that it computed and
    generated; 0 of a step without any."""
    tokens = prefill_tokens + decode_tokens
    return prefill_tokens / tokens if tokens else 0.0


class UsageMeter:
    """Counts the device's time that went to prompts, and joules."""

    def __init__(self, start_s: float) -> None:
        def counter() -> WindowedCounter:
            return WindowedCounter(start_s, capacity_s=_CAPACITY_S)

        self._prefill_device_s = counter()
        self._energy_j = counter()
        self._energy_read: tuple[float, float] | None = None
        """What the card's counter stood at when it was last read, and when."""
        self._has_energy = False

    def on_step(
        self, now_s: float, *, device_s: float, prefill_tokens: int, decode_tokens: int
    ) -> float:
        """A step ended that the device worked on for `device_s`; returns what of it went to
        prompts, in seconds."""
        prefill_s = device_s * prefill_share(prefill_tokens, decode_tokens)
        # A step of seconds is no burst at its end.
        self._prefill_device_s.add_over(prefill_s, now_s - device_s, now_s)
        return prefill_s

    def on_energy(self, counter_j: float | None, now_s: float) -> float:
        """The card's counter stands at `counter_j`; returns the joules since it was last read.

        None of them for a first reading, and for a counter that began anew.
        """
        if counter_j is None:
            return 0.0
        before, self._energy_read = self._energy_read, (counter_j, now_s)
        if before is None or counter_j < before[0]:
            return 0.0
        self._has_energy = True
        grown_j = counter_j - before[0]
        self._energy_j.add_over(grown_j, before[1], now_s)
        return grown_j

    def over(self, span_s: float, now_s: float, *, totals: Totals, used: Roofline) -> Usage:
        """What was used in the last `span_s`; `totals` and `used` are of the same span."""
        covered_s = totals.duration_s
        device_s = (used.busy or 0.0) * covered_s
        prefill_s = min(self._prefill_device_s.over(span_s, now_s)[0], device_s)
        energy_j = self._energy_j.over(span_s, now_s)[0] if self._has_energy else None
        return Usage(
            span_s=covered_s,
            requests=totals.ended,
            prefill_tokens=totals.prefill_tokens,
            decode_tokens=totals.decode_tokens,
            cached_prompt_tokens=totals.cached_tokens - totals.cached_output_tokens,
            cached_output_tokens=totals.cached_output_tokens,
            device_s=device_s,
            prefill_device_s=prefill_s,
            mbu=used.mbu,
            mfu=used.mfu,
            energy_j=energy_j,
        )
