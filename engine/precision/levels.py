"""The precision levels: what each stores, what it computes in, and which device runs it."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..protocol import PrecisionName, PrecisionStatus
from ..protocol.errors import PrecisionUnavailableError
from .chunks import fp8_layer, int4_layer, int8_layer
from .int4_rounding import INT4_STORAGE, Int4Rounding, int4_group, served_int4
from .linear import (
    CpuInt4Linear,
    CpuInt8Linear,
    DenseLinear,
    Int4Linear,
    Int8Linear,
    Linear,
    PackedLinear,
    UpcastLinear,
)
from .projection import Int4Projection, Projection
from .quantize import Int4Weight, quantize_int8

_CPU_INT4_ROWS = 16
"""torch's CPU int4 kernel needs output features in multiples of this."""
_CPU_INT8_COLUMNS = 32
"""torch's CPU int8 kernel reads inputs by whole vectors, past the end of rows of other lengths."""

_BASE_DTYPES: dict[PrecisionName, torch.dtype] = {
    PrecisionName.FP32: torch.float32,
    PrecisionName.BF16: torch.bfloat16,
    PrecisionName.FP16: torch.float16,
    PrecisionName.INT8: torch.bfloat16,
    PrecisionName.INT4: INT4_STORAGE,
    PrecisionName.FP8: torch.bfloat16,
}


def base_dtype(precision: PrecisionName) -> torch.dtype:
    """The dtype of activations, KV cache, norms, embedding and head at `precision`."""
    return _BASE_DTYPES[precision]


def base_precision(precision: PrecisionName) -> PrecisionName:
    """The level at which embedding and head stay while the layers are at `precision`."""
    full = (PrecisionName.FP32, PrecisionName.FP16)
    return precision if precision in full else PrecisionName.BF16


def layer_precision(
    projection: Projection | Int4Projection, precision: PrecisionName, int4_checkpoint: bool
) -> PrecisionName:
    """The level of one layer while the model is at `precision`.

    What a 4-bit checkpoint left out of its packing cannot be rounded without harm, as whoever made
    it found: at int4 it stays as its base precision has it.
    """
    left_out = int4_checkpoint and isinstance(projection, Projection)
    return base_precision(precision) if left_out and precision is PrecisionName.INT4 else precision


def compute_dtype(precision: PrecisionName, device: torch.device) -> torch.dtype:
    """The dtype in which the large products of `precision` run on `device`."""
    if precision is PrecisionName.FP16 and device.type == "cpu":
        return torch.float32  # see UpcastLinear
    if precision is PrecisionName.FP8:
        return torch.float8_e4m3fn
    return base_dtype(precision)


def default_precision(device: torch.device) -> PrecisionName:
    """bf16 where the device has it, and fp32 otherwise."""
    unavailable = unavailable_reason(PrecisionName.BF16, device)
    return PrecisionName.BF16 if unavailable is None else PrecisionName.FP32


def unavailable_reason(precision: PrecisionName, device: torch.device) -> str | None:
    """Why `device` cannot run `precision`, or `None` if it can."""
    if precision is PrecisionName.FP8:
        if device.type != "cuda":
            return "fp8 needs a GPU with fp8 tensor cores (compute capability 8.9)"
        major, minor = torch.cuda.get_device_capability(device)
        if (major, minor) < (8, 9):
            return f"fp8 needs compute capability 8.9, this GPU has {major}.{minor}"
    elif device.type == "cuda" and base_dtype(precision) is torch.bfloat16:
        major, minor = torch.cuda.get_device_capability(device)
        if major < 8:
            return f"bf16 arithmetic needs compute capability 8.0, this GPU has {major}.{minor}"
    return None


def statuses(device: torch.device) -> list[PrecisionStatus]:
    """All levels in the order of their keys, each with the reason where it cannot run."""
    return [
        PrecisionStatus(name=name, reason=unavailable_reason(name, device))
        for name in PrecisionName
    ]


def require(precision: PrecisionName, device: torch.device) -> None:
    """Raise `PrecisionUnavailableError` where `device` cannot run `precision`."""
    reason = unavailable_reason(precision, device)
    if reason is not None:
        raise PrecisionUnavailableError(f"{precision} cannot run here: {reason}")


def pack(
    projection: Projection | Int4Projection,
    precision: PrecisionName,
    device: torch.device,
    int4: Int4Rounding | None = None,
) -> Linear:
    """Make the layer of `precision` from a master projection, on `device`.

    What a checkpoint stores in 4 bits is served at int4 as it is, and widened for other levels.
    `int4` rounds in another way than what is served.
    Raises `PrecisionUnavailableError` where the layer's shape does not fit the level.
    """
    dtype = base_dtype(precision)
    bias = None if projection.bias is None else projection.bias.to(device, dtype)
    if int4 is not None and precision is PrecisionName.INT4:
        return lay_out_int4(int4(projection, device), bias, dtype)
    if isinstance(projection, Int4Projection):
        stored = projection.to(device)
        if precision is PrecisionName.INT4:
            return lay_out_int4(stored.quantized(), bias, dtype)
        return _PACKERS[precision](stored.dequantize(), bias, dtype)
    return _PACKERS[precision](projection.weight.to(device), bias, dtype)


def _pack_dense(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Linear:
    packed = weight.device.type == "cpu" and PackedLinear.supports(dtype)
    return (PackedLinear if packed else DenseLinear)(weight.to(dtype), bias)


def _pack_fp16(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Linear:
    layer = UpcastLinear if weight.device.type == "cpu" else DenseLinear
    return layer(weight.to(dtype), bias)


def _pack_int8(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Linear:
    if weight.device.type != "cpu":
        return int8_layer(weight, bias, dtype)
    quantized = quantize_int8(weight, dtype)
    layer = CpuInt8Linear if weight.shape[1] % _CPU_INT8_COLUMNS == 0 else Int8Linear
    return layer(quantized.q, quantized.scale, bias)


def _pack_int4(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Linear:
    if weight.device.type == "cuda":
        return int4_layer(weight, int4_group(weight.shape[1]), bias, dtype)
    return lay_out_int4(served_int4(Projection(weight), weight.device), bias, dtype)


def lay_out_int4(quantized: Int4Weight, bias: Tensor | None, dtype: torch.dtype) -> Linear:
    """The int4 layer of rounded values, on their device, scales and zeros kept in `dtype`."""
    rows, columns = quantized.q.shape
    if quantized.q.device.type == "cpu" and rows % _CPU_INT4_ROWS == 0:
        packed = torch._convert_weight_to_int4pack_for_cpu(quantized.q, 1)
        group = columns // quantized.scale.shape[1]
        return CpuInt4Linear(packed, quantized.scales_and_zeros(dtype), group, bias)
    return Int4Linear.from_quantized(quantized, dtype, bias)


def _pack_fp8(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Linear:
    rows, columns = weight.shape
    if rows % 16 or columns % 16:
        raise PrecisionUnavailableError(
            f"fp8 needs layers in multiples of 16, this model has one of {rows} × {columns}"
        )
    return fp8_layer(weight, bias)


_PACKERS: dict[PrecisionName, Callable[[Tensor, Tensor | None, torch.dtype], Linear]] = {
    PrecisionName.FP32: _pack_dense,
    PrecisionName.BF16: _pack_dense,
    PrecisionName.FP16: _pack_fp16,
    PrecisionName.INT8: _pack_int8,
    PrecisionName.INT4: _pack_int4,
    PrecisionName.FP8: _pack_fp8,
}
