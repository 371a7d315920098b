"""How far stored weights are from their master: matrix by matrix, and a whole model.

One matrix at a time is widened, never a second copy of the model.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..model.weights import MasterWeights
from ..precision.int4_rounding import Int4Rounding
from ..precision.projection import AnyProjection, Int4Projection, master_weight
from ..precision.stored import StoredWeight, stored_weight
from ..protocol import ErrorReport, ErrorTotals, MatrixError, PrecisionName

MATRICES = ("qkv", "output", "gate_up", "down")
"""A layer's projections as they are stored: query, key and value are one, gate and up another."""
AFFINE_BITS = (16, 8, 4)

Store = Callable[[AnyProjection], StoredWeight]


@dataclass(frozen=True, slots=True)
class MeasuredMatrix:
    """One matrix's errors, and the sums that its averages are made of, for those of a model."""

    error: MatrixError
    absolute: float
    squared: float
    weight_absolute: float
    weight_squared: float


def level_errors(
    master: MasterWeights,
    precision: PrecisionName,
    device: torch.device,
    int4: Int4Rounding | None = None,
) -> Iterator[MeasuredMatrix]:
    """Every matrix as `precision` really stores it on `device`; `int4` as in `pack`.

    Raises `PrecisionUnavailableError` where a layer's shape does not fit the level.
    """

    def store(projection: AnyProjection) -> StoredWeight:
        return stored_weight(projection, precision, device, int4)

    return _errors(master, store, device)


def affine_errors(
    master: MasterWeights, bits: int, device: torch.device
) -> Iterator[MeasuredMatrix]:
    """Every matrix in the plain affine scheme of `bits` bits."""
    return _errors(master, lambda projection: affine(_on(projection, device), bits), device)


def affine(weight: Tensor, bits: int) -> StoredWeight:
    """Round `[out, in]` to 2ⁿ − 1 steps between the matrix's minimum and maximum.

    It stores n bits a weight, and minimum and step in fp32.
    """
    wide = weight.float()
    least, greatest = wide.amin().reshape(1, 1), wide.amax().reshape(1, 1)
    step = ((greatest - least) / (2**bits - 1)).clamp(min=1e-30)
    values = ((wide - least) / step).round_().mul_(step).add_(least)
    return StoredWeight(values, weight.numel() * bits // 8 + 8, least, greatest, step)


def error_report(scheme: str, matrices: Iterable[MeasuredMatrix]) -> ErrorReport:
    """The report over all matrices of one scheme. Raises ValueError for none."""
    measured = list(matrices)
    if not measured:
        raise ValueError("a model without matrices has no errors to report")
    count = sum(each.error.parameters for each in measured)
    absolute = sum(each.absolute for each in measured)
    weights = sum(each.weight_absolute for each in measured)
    totals = ErrorTotals(
        scheme=scheme,
        parameters=count,
        mean_abs=absolute / count,
        relative=absolute / weights if weights else 0.0,
        snr_power_db=_decibel(
            10,
            sum(each.weight_squared for each in measured),
            sum(each.squared for each in measured),
        ),
        master_bytes=sum(each.error.master_bytes for each in measured),
        stored_bytes=sum(each.error.stored_bytes for each in measured),
    )
    return ErrorReport(totals=totals, matrices=[each.error for each in measured])


def _errors(master: MasterWeights, store: Store, device: torch.device) -> Iterator[MeasuredMatrix]:
    for index, layer in enumerate(master.layers):
        for name, projection in zip(MATRICES, layer.projections(), strict=True):
            yield matrix_error(index, name, projection, store(projection), device)


def _on(projection: AnyProjection, device: torch.device) -> Tensor:
    if isinstance(projection, Int4Projection):
        return projection.to(device).dequantize()
    return projection.weight.to(device)


@torch.inference_mode()
def matrix_error(
    layer: int, name: str, projection: AnyProjection, stored: StoredWeight, device: torch.device
) -> MeasuredMatrix:
    """Compare one matrix `[out, in]` with what is stored of it."""
    weight = _on(projection, device).float()
    errors = stored.values - weight
    absolute, weight_absolute = errors.abs(), weight.abs()
    count = weight.numel()
    total, squared = _total(absolute), _total(errors.square())
    weight_total, weight_squared = _total(weight_absolute), _total(weight.square())
    error = MatrixError(
        layer=layer,
        matrix=name,
        parameters=count,
        mean_abs=total / count,
        max_abs=float(absolute.amax()),
        relative=total / weight_total if weight_total else 0.0,
        relative_plain=_relative_plain(absolute, weight_absolute),
        snr_std_db=_decibel(20, _deviation(weight), _deviation(errors)),
        snr_power_db=_decibel(10, weight_squared, squared),
        least=float(weight.amin()),
        greatest=float(weight.amax()),
        step=None if stored.step is None else float(stored.step.double().mean()),
        clipped=_clipped(weight, stored),
        master_bytes=sum(_bytes(tensor) for tensor in _stored_tensors(projection)),
        stored_bytes=stored.size_bytes,
    )
    return MeasuredMatrix(error, total, squared, weight_total, weight_squared)


def _stored_tensors(projection: AnyProjection) -> list[Tensor]:
    if isinstance(projection, Int4Projection):
        return [projection.q, projection.scale, projection.zero]
    return [master_weight(projection)]


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.itemsize


def _total(values: Tensor) -> float:
    return float(values.sum(dtype=torch.float64))


def _deviation(values: Tensor) -> float:
    mean = _total(values) / values.numel()
    return math.sqrt(_total((values - mean).square()) / values.numel())


def _relative_plain(absolute: Tensor, weight_absolute: Tensor) -> float | None:
    there = weight_absolute > 0
    count = int(there.sum())
    if not count:
        return None
    return _total(torch.where(there, absolute / weight_absolute, 0.0)) / count


def _decibel(factor: int, signal: float, noise: float) -> float | None:
    """`None` where there is nothing to compare; minus infinity where all is lost."""
    if not (signal > 0 and noise > 0):
        return None
    ratio = signal / noise
    return factor * math.log10(ratio) if ratio > 0 else -math.inf


def _clipped(weight: Tensor, stored: StoredWeight) -> float:
    """The share of weights further outside the range than rounding explains: half a step."""
    grouped = weight.view(weight.shape[0], stored.lower.shape[1], -1)
    slack = 0.0 if stored.step is None else (0.501 * stored.step).unsqueeze(-1)
    below = grouped < stored.lower.unsqueeze(-1) - slack
    above = grouped > stored.upper.unsqueeze(-1) + slack
    return float((below | above).sum()) / weight.numel()
