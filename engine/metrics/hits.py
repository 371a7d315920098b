"""Hit rates of the response cache and the prefix cache, per window."""

import math
from collections.abc import Callable

from ..protocol import WINDOW_SECONDS, HitRates, Window
from .windows import WindowedCounter

_BIN_S = 0.5


class HitMeter:
    """Counts lookups and hits: of requests in one cache, of prompt tokens in the other."""

    def __init__(self, start_s: float) -> None:
        def counter() -> WindowedCounter:
            return WindowedCounter(start_s, bin_s=_BIN_S, capacity_s=WINDOW_SECONDS[Window.M5])

        self._response_lookups = counter()
        self._response_hits = counter()
        self._queried_tokens = counter()
        self._hit_tokens = counter()
        self._at_switch: dict[WindowedCounter, float] = {}
        """What each counter stood at when the last switch took effect."""

    def on_response_lookup(self, hit: bool, now_s: float) -> None:
        """A request was looked up in the response cache."""
        self._response_lookups.add(1, now_s)
        self._response_hits.add(int(hit), now_s)

    def on_prefix_lookup(self, hit_tokens: int, queried_tokens: int, now_s: float) -> None:
        """A prompt of `queried_tokens` was looked up; its first `hit_tokens` were in the cache.

        Raises ValueError for more hits than tokens.
        """
        if not 0 <= hit_tokens <= queried_tokens:
            raise ValueError(f"{hit_tokens} hit tokens of {queried_tokens} queried")
        self._queried_tokens.add(queried_tokens, now_s)
        self._hit_tokens.add(hit_tokens, now_s)

    def rates(self, now_s: float) -> dict[Window, HitRates]:
        """Hits over lookups in every window; `None` where nothing was looked up in it."""
        rates = {window: self._rates_over(span, now_s) for window, span in WINDOW_SECONDS.items()}
        return rates | {Window.SWITCH: self._rates(self._since_switch)}

    def on_switch(self) -> None:
        """From now on it is another strategy, precision or load."""
        counters = (
            self._response_lookups,
            self._response_hits,
            self._queried_tokens,
            self._hit_tokens,
        )
        self._at_switch = {counter: counter.total for counter in counters}

    def session(self, now_s: float) -> HitRates:
        """Hits over lookups since the start."""
        return self._rates_over(math.inf, now_s)

    def _rates_over(self, span_s: float, now_s: float) -> HitRates:
        return self._rates(lambda counter: counter.over(span_s, now_s)[0])

    def _since_switch(self, counter: WindowedCounter) -> float:
        return counter.total - self._at_switch.get(counter, 0.0)

    def _rates(self, amount: Callable[[WindowedCounter], float]) -> HitRates:
        return HitRates(
            response=_ratio(amount, self._response_hits, self._response_lookups),
            prefix=_ratio(amount, self._hit_tokens, self._queried_tokens),
        )


def _ratio(
    amount: Callable[[WindowedCounter], float], hits: WindowedCounter, lookups: WindowedCounter
) -> float | None:
    looked_up = amount(lookups)
    return amount(hits) / looked_up if looked_up else None
