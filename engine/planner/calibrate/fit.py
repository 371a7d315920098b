"""Least squares on relative error: latency plus bytes over bandwidth, and efficiency plus a wave.

Relative, because a sweep spans six orders of magnitude: in absolute terms only its largest payloads
would count, and nothing would say what the latency is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .samples import Collective, CollectiveSample, CopySample, MatmulSample

_TILE = 128 * 256
_DEEPEST_WAVE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`seconds = fixed_s · a + b / rate`: what it costs to begin, and what a second carries.

    `error` is the mean absolute relative error of the fit on its own samples.
    """

    fixed_s: float
    rate: float
    error: float


@dataclass(frozen=True, slots=True)
class Point:
    """A measurement: `fixed` times the fixed cost and `amount` over the rate took `seconds`."""

    fixed: float
    amount: float
    seconds: float


def fit_line(points: Sequence[Point]) -> Line:
    """The non-negative fixed cost and the rate with the least squared relative error.

    Raises:
        ValueError: fewer than two points, or one that took no time or carried nothing.
    """
    if len(points) < 2 or any(p.seconds <= 0 or p.amount <= 0 or p.fixed < 0 for p in points):
        raise ValueError("a fit needs two points or more, each with a time and an amount above 0")
    aa = ab = bb = a1 = b1 = 0.0
    for point in points:
        a, b = point.fixed / point.seconds, point.amount / point.seconds
        aa, ab, bb, a1, b1 = aa + a * a, ab + a * b, bb + b * b, a1 + a, b1 + b
    determinant = aa * bb - ab * ab
    # Below this the two columns are one and the same up to rounding.
    if determinant > 1e-12 * aa * bb:
        fixed = (a1 * bb - b1 * ab) / determinant
        slope = (b1 * aa - a1 * ab) / determinant
    else:
        fixed, slope = 0.0, b1 / bb
    if fixed < 0 or slope <= 0:
        fixed, slope = 0.0, b1 / bb
    misses = [abs((fixed * p.fixed + slope * p.amount) / p.seconds - 1) for p in points]
    return Line(fixed_s=fixed, rate=1 / slope, error=sum(misses) / len(misses))


def fit_copies(samples: Sequence[CopySample]) -> Line:
    """A kernel's start and drain, and bytes per second, read and written."""
    return fit_line([Point(1.0, float(s.moved_bytes), s.seconds) for s in samples])


def ring_bytes(sample: CollectiveSample) -> float:
    """Bytes that pass one GPU's link in one direction (Thakur et al. 2005)."""
    share = (sample.ranks - 1) / sample.ranks
    return (
        sample.whole_bytes
        * {
            "all_reduce": 2 * share,
            "all_gather": share,
            "reduce_scatter": share,
            "p2p": 1.0,
        }[sample.collective]
    )


def ring_steps(sample: CollectiveSample) -> int:
    """Latencies of a ring: a step for each other rank, twice for an all-reduce."""
    if sample.collective == "p2p":
        return 1
    return (sample.ranks - 1) * (2 if sample.collective == "all_reduce" else 1)


def fit_collective(samples: Sequence[CollectiveSample]) -> Line:
    """Latency per step and bandwidth per direction; samples of several collectives fit together."""
    return fit_line([Point(ring_steps(s), ring_bytes(s), s.seconds) for s in samples])


def fit_each(samples: Sequence[CollectiveSample]) -> dict[Collective, Line]:
    """One fit for each collective that was measured."""
    kinds = dict.fromkeys(sample.collective for sample in samples)
    return {kind: fit_collective([s for s in samples if s.collective == kind]) for kind in kinds}


@dataclass(frozen=True, slots=True, kw_only=True)
class Products:
    """Large products: FLOP/s that are reached, and the part of one wave of tiles that is lost."""

    flops_s: float
    wave: float
    error: float


def fit_products(samples: Sequence[MatmulSample], sms: int, kernel_s: float) -> Products:
    """`seconds = (flops + wave · tile flops · sms) / flops_s + kernel_s`, as the planner has it."""
    points = []
    for sample in samples:
        lost = 2.0 * _TILE * sms * min(sample.k, _DEEPEST_WAVE)
        seconds = max(sample.seconds - kernel_s, sample.seconds / 2)
        points.append(Point(lost, sample.flops, seconds))
    line = fit_line(points)
    return Products(flops_s=line.rate, wave=line.fixed_s * line.rate, error=line.error)
