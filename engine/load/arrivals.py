"""The laws of the load: when requests arrive, which prompt each asks for, and how long they are."""

from collections.abc import Callable, Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_BLOCK = 1024
"""Arrivals of an open loop that are drawn at once."""

LEAST_RATE = 1e-12
"""A second: one request in 30,000 years. Below it times would no longer be finite."""


class Stream(IntEnum):
    """Independent streams of randomness under one seed: a change in one leaves the others alone."""

    GAPS = 0
    CHOICES = 1
    POPULARITY = 2
    OUTPUT_LENGTHS = 3
    PROMPT_LENGTHS = 4
    SAMPLING = 5
    REPEATS = 6
    SHARED_BLOCKS = 7
    OWN_TOKENS = 8


def random_stream(seed: int, stream: Stream, part: int = 0, *within: int) -> np.random.Generator:
    """The generator of one stream, or of one part of it, under `seed` (not negative)."""
    return np.random.default_rng([seed, int(stream), part, *within])


class GapLaw:
    """Gaps between arrivals at `rate_per_s`: gamma with shape `burstiness` and mean 1 ÷ rate.

    Shape 1 is a Poisson process; the coefficient of variation is 1 ÷ √shape, so below 1 arrivals
    come in bursts and above 1 more evenly. Raises ValueError unless both are positive.
    """

    def __init__(self, rate_per_s: float, burstiness: float, random: np.random.Generator) -> None:
        if rate_per_s <= 0.0 or burstiness <= 0.0:
            raise ValueError("rate and burstiness must be positive")
        self._shape = burstiness
        self._scale_s = 1.0 / max(rate_per_s * burstiness, LEAST_RATE)
        self._random = random

    def next_gaps_s(self, count: int) -> Floats:
        """The next gaps `[count]`, in seconds: the same, however many are asked for at once."""
        return self._random.gamma(self._shape, self._scale_s, count)


class ArrivalTimes:
    """When the requests of an open loop arrive after `start_s`, drawn a block at a time.

    Drawing and skipping thousands costs less than a millisecond: a rate that nobody can serve can
    still be counted. `warp` turns moments `[n]` of the law's own time, from `start_s` on, into
    those of the clock, where the two differ.
    """

    def __init__(
        self, law: GapLaw, start_s: float, warp: Callable[[Floats], Floats] | None = None
    ) -> None:
        self._law = law
        self._warp = warp
        self._drawn_until = start_s
        self._times_s = np.empty(0)
        self._next = 0
        self._draw_block()

    @property
    def next_s(self) -> float:
        """The next arrival."""
        return float(self._times_s[self._next])

    def pop_due(self, now_s: float, most: int) -> list[float]:
        """Arrivals up to `now_s`, in order: `most` of them at most, and never more than a block.

        None is left only where the list is empty.
        """
        due = int(np.searchsorted(self._times_s, now_s, side="right"))
        end = max(self._next, min(due, self._next + most))
        popped: list[float] = self._times_s[self._next : end].tolist()
        self._next = end
        if end == len(self._times_s):
            self._draw_block()
        return popped

    def _draw_block(self) -> None:
        gaps = self._law.next_gaps_s(_BLOCK)
        gaps[0] += self._drawn_until
        drawn = np.cumsum(gaps)
        self._drawn_until = float(drawn[-1])
        # Rounding must not let one overtake another where a rate changes.
        warped = drawn if self._warp is None else np.maximum.accumulate(self._warp(drawn))
        self._times_s, self._next = warped, 0


class ZipfLaw:
    """A choice among `count` things: the one of rank r has a weight of r^-`exponent`.

    Exponent 0 is uniform. Which thing has which rank is a permutation drawn from `random`.
    """

    def __init__(self, count: int, exponent: float, random: np.random.Generator) -> None:
        weights = np.arange(1, count + 1, dtype=np.float64) ** -exponent
        self._cumulative: Floats = np.cumsum(weights) / weights.sum()
        self._by_rank: Ints = random.permutation(count).astype(np.int64)

    def choose(self, uniform: float) -> int:
        """The thing that `uniform`, drawn from [0, 1), falls on."""
        rank = int(np.searchsorted(self._cumulative, uniform, side="right"))
        return int(self._by_rank[min(rank, len(self._by_rank) - 1)])


def spread_lengths(least: int, most: int, count: int, random: np.random.Generator) -> Ints:
    """`count` lengths `[count]`, uniform in `least` … `most` inclusive, in random order.

    Stratified: one length from each of `count` equal parts of the range, so even a few are spread
    over all of it. Raises ValueError if `most` is less than `least`.
    """
    if most < least:
        raise ValueError(f"no length lies between {least} and {most}")
    uniform = (np.arange(count) + random.random(count)) / count
    lengths = least + np.floor(uniform * (most - least + 1)).astype(np.int64)
    return random.permutation(np.minimum(lengths, most))


def fit_tokens(tokens: Sequence[int], length: int) -> list[int]:
    """`tokens` cut to `length`, or repeated from their beginning until there are `length`.

    A shared beginning stays shared. Raises ValueError for no tokens or a length below 1.
    """
    if not tokens or length < 1:
        raise ValueError(f"{len(tokens)} tokens cannot be made {length} long")
    repeats = -(-length // len(tokens))
    return (list(tokens) * repeats)[:length]
