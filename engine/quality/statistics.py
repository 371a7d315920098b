"""Means with their intervals, and quantiles. The errors of neighbouring tokens are taken as
independent, as llama.cpp takes them: intervals are a little too narrow rather than too wide."""

import math

import msgspec
from torch import Tensor

from ..protocol import Interval

Z_95 = 1.959964
"""Standard deviations of a normal distribution within which 95 % lie."""

_LARGEST_EXPONENT = 700.0


def mean_interval(values: Tensor) -> Interval:
    """The mean of fp64 `[samples]` with its 95 % interval; the mean itself for one sample."""
    mean = float(values.mean())
    half = Z_95 * standard_error(values)
    return Interval(value=mean, low=mean - half, high=mean + half)


def standard_error(values: Tensor) -> float:
    """Of the mean of fp64 `[samples]`; 0 for one sample."""
    count = values.numel()
    return float(values.std(correction=1)) / math.sqrt(count) if count > 1 else 0.0


def exponential_interval(values: Tensor) -> Interval:
    """e to the mean of fp64 `[samples]`: a perplexity of losses, a ratio of their differences."""
    inner = mean_interval(values)
    return Interval(
        value=exponential(inner.value), low=exponential(inner.low), high=exponential(inner.high)
    )


def exponential(exponent: float) -> float:
    """e to `exponent`, held within what a float can tell from 0 and from infinity: a model that is
    broken, but says numbers, loses thousands of nats a word."""
    return math.exp(min(max(exponent, -_LARGEST_EXPONENT), _LARGEST_EXPONENT))


def all_finite(figures: object) -> bool:
    """Whether all numbers of a message, or of its parts, are numbers: JSON has no word for others,
    and nothing can be compared with them."""
    match figures:
        case float():
            return math.isfinite(figures)
        case msgspec.Struct():
            return all_finite(msgspec.structs.astuple(figures))
        case list() | tuple():
            return all(all_finite(each) for each in figures)
        case _:
            return True


def share_interval(count: int, total: int) -> Interval:
    """A share of `total` with Wilson's 95 % interval, which stays within 0 … 1.

    Source: E. B. Wilson, "Probable inference", 1927.
    """
    share, square = count / total, Z_95**2
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = (
        Z_95
        / (1 + square / total)
        * math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    )
    return Interval(
        value=share,
        low=min(share, max(0.0, middle - half)),
        high=max(share, min(1.0, middle + half)),
    )


def quantile(values: Tensor, share: float) -> float:
    """Of `[samples]`, linear between neighbours as numpy's; for any number."""
    ordered = values.sort().values
    place = share * (ordered.numel() - 1)
    below = math.floor(place)
    low, high = float(ordered[below]), float(ordered[math.ceil(place)])
    return low + (high - low) * (place - below)
