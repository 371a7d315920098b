"""How much each key may use: a token bucket of requests and one of tokens. The clock is passed in.

A request takes its prompt and the most that it may generate beforehand; what it did not use comes
back at its end.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass

from .settings import RateSettings

_ROUNDING = 1e-9
"""Of a bucket's capacity: whoever waited for as long as he was told finds enough in it."""


class Bucket:
    """Holds `capacity` at most and is filled by `rate_per_s`; full at the begin."""

    __slots__ = ("_at_s", "_level", "capacity", "rate_per_s")

    def __init__(self, capacity: float, rate_per_s: float, now_s: float) -> None:
        self.capacity, self.rate_per_s = capacity, rate_per_s
        self._level, self._at_s = capacity, now_s

    def level(self, now_s: float) -> float:
        """What is in it; a clock that goes back fills nothing."""
        if now_s > self._at_s:
            filled = self._level + (now_s - self._at_s) * self.rate_per_s
            self._level, self._at_s = min(self.capacity, filled), now_s
        return self._level

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` is in it; infinite for more than it can hold."""
        if amount > self.capacity:
            return math.inf
        lacking = amount - self.level(now_s)
        return lacking / self.rate_per_s if lacking > _ROUNDING * self.capacity else 0.0

    def take(self, amount: float, now_s: float) -> None:
        """Take `amount`, also below nothing: what was used was used."""
        self._level = self.level(now_s) - amount

    def give_back(self, amount: float, now_s: float) -> None:
        """Put back what was taken and not used."""
        self._level = min(self.capacity, self.level(now_s) + amount)


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a request must wait: `kind` is what there is too little of.

    `retry_after_s` is for HTTP's `Retry-After`, whole seconds; `None`: it would never fit.
    """

    kind: str
    retry_after_s: int | None


class RateLimiter:
    """The buckets of all keys. A key that has used nothing for long takes no memory."""

    def __init__(self, settings: RateSettings) -> None:
        self._settings = settings
        self._keys: OrderedDict[str, tuple[Bucket | None, Bucket | None]] = OrderedDict()
        self.allowed = 0
        self.denied = 0

    def admit(self, key: str, tokens: int, now_s: float) -> Denied | None:
        """Take one request and `tokens` (prompt and the most to generate) from a key's buckets.

        `now_s` is of any monotonic clock. Takes nothing where it is denied.
        """
        requests, used = self._buckets(key, now_s)
        waits = [
            (bucket.wait_s(amount, now_s), kind)
            for bucket, amount, kind in ((requests, 1, "requests"), (used, tokens, "tokens"))
            if bucket is not None
        ]
        wait_s, kind = max(waits, default=(0.0, ""))
        if wait_s > 0:
            self.denied += 1
            # Not a rounding early: a client that is told 2 s may come after 2 s.
            return Denied(kind, None if math.isinf(wait_s) else max(1, math.ceil(wait_s)))
        for bucket, amount in ((requests, 1), (used, tokens)):
            if bucket is not None:
                bucket.take(amount, now_s)
        self.allowed += 1
        return None

    def settle(self, key: str, taken: int, used: int, now_s: float) -> None:
        """A request that took `taken` tokens has ended after `used` of them."""
        bucket = self._buckets(key, now_s)[1]
        if bucket is not None and used < taken:
            bucket.give_back(taken - used, now_s)
        elif bucket is not None:
            bucket.take(used - taken, now_s)

    @property
    def keys(self) -> int:
        """Keys that are remembered."""
        return len(self._keys)

    def _buckets(self, key: str, now_s: float) -> tuple[Bucket | None, Bucket | None]:
        buckets = self._keys.get(key)
        if buckets is None:
            settings = self._settings
            buckets = self._keys[key] = (
                _bucket(settings.requests_per_minute, settings.burst_requests, now_s),
                _bucket(settings.tokens_per_minute, settings.burst_tokens, now_s),
            )
            self._forget()
        self._keys.move_to_end(key)
        return buckets

    def _forget(self) -> None:
        """Drop the keys that were used least recently: their buckets are the fullest."""
        while len(self._keys) > self._settings.most_keys:
            self._keys.popitem(last=False)


def _bucket(per_minute: float | None, burst: int | None, now_s: float) -> Bucket | None:
    if per_minute is None:
        return None
    # Less than one request could never be admitted.
    return Bucket(max(1.0, per_minute if burst is None else burst), per_minute / 60, now_s)
