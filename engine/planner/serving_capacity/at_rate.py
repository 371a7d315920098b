"""A server under requests that come at a rate: how many are in flight, and what it takes."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from .capacity import Capacity, capacity


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRate:
    """`at`: the server with as many requests in flight as the rate makes; `None` where the rate is
    more than it takes, so that requests wait ever longer. `full`: with as many as it can run.
    """

    rate_req_s: float
    at: Capacity | None
    full: Capacity

    @property
    def most_req_s(self) -> float | None:
        """Requests a second that it takes at most; `None` where not one fits."""
        return served_req_s(self.full)

    @property
    def output_tok_s(self) -> float | None:
        """Output tokens a second at this rate: those that are asked for, or all it can make."""
        if self.at is None:
            return self.full.tokens_s
        return self.rate_req_s * self.full.load.output_tokens

    @property
    def e2e_s(self) -> float | None:
        """Of a request that finds a place at once: its prompt, and the tokens after the first."""
        if self.at is None or self.at.tpot_s is None:
            return None
        return self.at.ttft_s + self.at.tpot_s * (self.at.load.output_tokens - 1)


def at_rate(full: Capacity, rate_req_s: float) -> AtRate:
    """The server of `full`, whose load is the most requests that may be in flight, at a rate.

    By Little's law the fewest requests in flight that keep up: more of them make more tokens a
    second, each request's more slowly.
    """
    most = full.batch
    reached = served_req_s(full)
    if not most or reached is None or reached < rate_req_s:
        return AtRate(rate_req_s=rate_req_s, at=None, full=full)

    def with_requests(requests: int) -> Capacity:
        return capacity(full.server, replace(full.load, requests=requests), full.price)

    def keeps_up(requests: int) -> bool:
        return (served_req_s(with_requests(requests)) or 0.0) >= rate_req_s

    fewest = _first(keeps_up, 1, most)
    return AtRate(rate_req_s=rate_req_s, at=with_requests(fewest), full=full)


def served_req_s(result: Capacity) -> float | None:
    """Requests a second while its batch is full; `None` where nothing fits."""
    return None if result.tokens_s is None else result.tokens_s / result.load.output_tokens


def _first(holds: Callable[[int], bool], least: int, most: int) -> int:
    """The least number from which on `holds` is true; it is for `most`."""
    while least < most:
        middle = (least + most) // 2
        if holds(middle):
            most = middle
        else:
            least = middle + 1
    return least
