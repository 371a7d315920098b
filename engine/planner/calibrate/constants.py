"""From samples to the planner's constants."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...protocol.errors import ProdtopError
from ..cost.calibration import Calibration, default_constants
from ..cost.hardware import Gpu
from .fit import (
    Line,
    Products,
    fit_collective,
    fit_copies,
    fit_each,
    fit_products,
)
from .samples import (
    Collective,
    CollectiveSample,
    CopySample,
    DeviceSample,
    MatmulSample,
    Report,
    SkippedSample,
)


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
