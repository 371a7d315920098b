"""What a level really stores of a weight, widened again: for measuring how far it is off."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..protocol import PrecisionName
from .int4_rounding import Int4Rounding, served_int4
from .levels import base_dtype, pack
from .linear import (
    CpuInt4Linear,
    DenseLinear,
    Fp8Linear,
    Int4Linear,
    Int8Linear,
    Int8PlanesLinear,
    Linear,
    storage_bytes,
)
from .projection import AnyProjection, master_weight
from .quantize import E4M3_LARGEST, Int4Weight


@dataclass(frozen=True, slots=True)
class StoredWeight:
    """`values` fp32 `[out, in]`, as they are stored in `size_bytes`, scales included.

    `lower` and `upper` `[out, groups]`: the range that can be stored of each group of a row's
    inputs. `step` `[out, groups]` is the distance of neighbouring values; `None` where it differs.
    """

    values: Tensor
    size_bytes: int
    lower: Tensor
    upper: Tensor
    step: Tensor | None = None


def stored_weight(
    projection: AnyProjection,
    precision: PrecisionName,
    device: torch.device,
    int4: Int4Rounding | None = None,
) -> StoredWeight:
    """Pack one projection as `precision` does on `device`, and widen what was stored.

    `int4` as in `pack`. Raises `PrecisionUnavailableError` as `pack` does.
    """
    layer = pack(projection, precision, device, int4)
    size_bytes = storage_bytes(_weight_tensors(layer))
    match layer:
        case Fp8Linear(q=q, scale=scale):
            largest = E4M3_LARGEST * scale.t()
            return StoredWeight(q.float() * scale.t(), size_bytes, -largest, largest)
        case Int8PlanesLinear(scale=scale):
            return _int8(layer.values(), scale, size_bytes)
        case Int8Linear(q=q, scale=scale):
            return _int8(q, scale, size_bytes)
        case Int4Linear():
            groups = layer.inputs // layer.group
            scale, zero = layer.scales_and_zeros[:groups].permute(1, 0, 2).float().unbind(-1)
            return _int4(layer.dequantize(torch.float32), scale, zero, size_bytes)
        case CpuInt4Linear():
            rounded = (int4 or served_int4)(projection, device)
            return _cpu_int4(rounded, layer, size_bytes)
        case DenseLinear(weight=weight):
            return _dense(weight, size_bytes)
        case _:
            # oneDNN's blocks are opaque; they are this dtype's values in another order.
            return _dense(master_weight(projection).to(base_dtype(precision)), size_bytes)


def _weight_tensors(layer: Linear) -> list[Tensor]:
    bias = getattr(layer, "bias", None)
    return [tensor for tensor in layer.tensors() if tensor is not bias]


def _dense(weight: Tensor, size_bytes: int) -> StoredWeight:
    largest = torch.full((weight.shape[0], 1), torch.finfo(weight.dtype).max, device=weight.device)
    return StoredWeight(weight.float(), size_bytes, -largest, largest)


def _int8(q: Tensor, scale: Tensor, size_bytes: int) -> StoredWeight:
    step = scale.float().unsqueeze(1)
    return StoredWeight(q.float() * step, size_bytes, -127 * step, 127 * step, step)


def _int4(values: Tensor, scale: Tensor, zero: Tensor, size_bytes: int) -> StoredWeight:
    """`scale` and `zero` fp32 `[out, groups]`."""
    return StoredWeight(values, size_bytes, zero - 8 * scale, zero + 7 * scale, scale)


def _cpu_int4(rounded: Int4Weight, layer: CpuInt4Linear, size_bytes: int) -> StoredWeight:
    """torch's layout is opaque: the values are those that it was packed from."""
    scale, zero = layer.scales_and_zeros.transpose(0, 1).float().unbind(-1)
    grouped = rounded.q.view(rounded.q.shape[0], -1, layer.group).float() - 8
    values = torch.addcmul(zero.unsqueeze(-1), grouped, scale.unsqueeze(-1)).flatten(1)
    return _int4(values, scale, zero, size_bytes)
