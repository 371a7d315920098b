"""How far a figure may lie from the true one: by resampling, without a law of its distribution.

The samples of a session follow each other: a slow second makes the next one slow. Resampling them
one by one would say that they know more than they do. So blocks of neighbours are drawn, as long as
the cube root of their number, from a circle (Politis and Romano 1992; Lahiri, Resampling Methods
for Dependent Data, 2003, chapter 2). The interval of a difference is that of its resampled values.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 400
LEAST_SAMPLES = 16
"""Fewer say nothing of how they vary."""
LEAST_BEYOND = 2
"""So many samples must lie beyond a percentile that is spoken of."""
_SEED = 20_260_101

Samples = NDArray[np.float64]
Statistic = Callable[[Samples], Samples]
"""From resamples, a row each, to their figures."""


def mean_of(rows: Samples) -> Samples:
    """The mean of each row."""
    return np.asarray(rows.mean(axis=1))


def percentile_of(rank: float) -> Statistic:
    """The percentile of each row, between neighbours by interpolation."""
    return lambda rows: np.asarray(np.percentile(rows, rank, axis=1))


def ratio_of(rows: Samples) -> Samples:
    """Of rows of pairs: the sum of the first over that of the second."""
    sums = rows.sum(axis=1)
    return np.asarray(sums[:, 0] / sums[:, 1])


def enough(count: int, rank: float | None) -> bool:
    """Whether so many samples say how sure a percentile (or with `None` the mean) of them is."""
    if rank is None or rank <= 50:
        return count >= LEAST_SAMPLES
    return count >= LEAST_SAMPLES and count * (100 - rank) / 100 >= LEAST_BEYOND


def resampled(samples: Samples, statistic: Statistic, stream: int) -> Samples:
    """The statistic of each of `RESAMPLES` draws of blocks from `samples` [n] or [n, 2]. Draws of
    another `stream` are independent of these; the same ones come out each time."""
    count = len(samples)
    length = max(1, round(count ** (1 / 3)))
    blocks = math.ceil(count / length)
    generator = np.random.default_rng([_SEED, stream])
    figures: list[Samples] = []
    # A few at a time: of a long session all of them are too many.
    together = max(1, 2_000_000 // count)
    for first in range(0, RESAMPLES, together):
        number = min(together, RESAMPLES - first)
        starts = generator.integers(0, count, size=(number, blocks, 1))
        places = (starts + np.arange(length)) % count
        rows = samples[places.reshape(number, -1)[:, :count]]
        figures.append(statistic(rows))
    return np.concatenate(figures)


def interval(values: Samples) -> tuple[float, float]:
    """What `CONFIDENCE` of the values lie within."""
    outside = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(values, [outside, 100 - outside])
    return float(low), float(high)
