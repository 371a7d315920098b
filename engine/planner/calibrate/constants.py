"""From samples to the planner's constants."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...protocol.errors import ProdtopError
from ..cost.calibration import Calibration, default_constants
from ..cost.hardware import Gpu
from .samples import (
    Collective,
    CollectiveSample,
    CopySample,
    DeviceSample,
    MatmulSample,
    Report,
    SkippedSample,
)

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


class CalibrationError(ProdtopError):
    """A calibration that measured too little to say anything, or whose process failed."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one machine reached, in absolute rates.

    products: FLOP/s and lost wave per precision. copy: bytes per second, read and written. links:
    latency per ring step and bytes per second and direction, of each collective; `ring` fits the
    ring collectives together. `ring` is `None` and `links` is empty for a single device.
    """

    device: DeviceSample
    date: datetime.date
    products: Mapping[str, Products]
    copy: Line
    links: Mapping[Collective, Line]
    ring: Line | None
    ranks: int
    skipped: tuple[SkippedSample, ...]


def measured_from(reports: Sequence[Report], date: datetime.date) -> Measured:
    """Fit what was reported; raises `CalibrationError` where products or copies are missing."""
    device = next((r for r in reports if isinstance(r, DeviceSample)), None)
    copies = [r for r in reports if isinstance(r, CopySample)]
    products = [r for r in reports if isinstance(r, MatmulSample)]
    collectives = [r for r in reports if isinstance(r, CollectiveSample)]
    if device is None:
        raise CalibrationError("the calibration reported no device: see its log")
    try:
        copy = fit_copies(copies)
        start = copy.fixed_s
        by_type: dict[str, Products] = {
            dtype: fit_products([p for p in products if p.dtype == dtype], device.sms, start)
            for dtype in dict.fromkeys(p.dtype for p in products)
        }
        links = fit_each(collectives)
        rings = [sample for sample in collectives if sample.collective != "p2p"]
        ring = fit_collective(rings) if rings else None
    except ValueError as error:
        raise CalibrationError(f"the calibration measured too little: {error}") from error
    if not by_type:
        raise CalibrationError("the calibration measured no matrix product: see its log")
    return Measured(
        device=device,
        date=date,
        products=by_type,
        copy=copy,
        links=links,
        ring=ring,
        ranks=collectives[0].ranks if collectives else 1,
        skipped=tuple(r for r in reports if isinstance(r, SkippedSample)),
    )


def calibration_of(measured: Measured, gpu: Gpu) -> Calibration:
    """The constants of `gpu` with what was measured in place of the packaged values.

    What is not measured (attention kernels, the network between nodes) stays as packaged.
    """
    base = default_constants().gpu(gpu.key)
    found = replace(base, hbm=measured.copy.rate / gpu.hbm_bytes_s)
    bf16, fp8 = measured.products.get("bf16"), measured.products.get("fp8")
    if bf16 is not None and gpu.bf16_flops:
        found = replace(found, gemm_bf16=bf16.flops_s / gpu.bf16_flops, gemm_wave=bf16.wave)
    if fp8 is not None and gpu.fp8_flops:
        found = replace(found, gemm_fp8=fp8.flops_s / gpu.fp8_flops)
    if measured.copy.fixed_s > 0:
        found = replace(found, kernel_s=measured.copy.fixed_s)
    if measured.ring is not None:
        found = replace(
            found,
            link=measured.ring.rate / gpu.link_bytes_s,
            link_alpha_s=measured.ring.fixed_s,
        )
    return found
