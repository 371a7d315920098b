"""A linear layer of any level for more rows than the skinny kernels take (17 and up).

Up to some hundreds of rows the packed kernels win, since they read fewer bytes; beyond, the product
itself is the cost, and it pays to unpack the weight once and leave the rest to cuBLAS.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...precision.linear import DenseLinear, Fp8Linear, Int4Linear, Int8PlanesLinear, Linear
from .dequantize import dequantize_int4, dequantize_int8
from .fp8 import quantize_rows, scaled_product
from .gemm import gemm_int4, gemm_int8
from .workspace import workspace

UNPACK_FROM_ROWS = {"int8": 1024, "int4": 1024}
"""From here on a packed weight is unpacked first."""


_PACKED = (Int8PlanesLinear, Int4Linear)


def linear(x: Tensor, layer: Linear, residual: Tensor | None = None, pdl: bool = False) -> Tensor:
    """`layer(x) + residual` for `x [rows, in]`; with a `residual [rows, out]` written into it.

    Raises TypeError for a layer that only a CPU runs.
    """
    if isinstance(layer, DenseLinear):
        return _dense(x, layer.weight, layer.bias, residual)
    if isinstance(layer, Int8PlanesLinear):
        return linear_int8(x, layer, residual, pdl)
    if isinstance(layer, Int4Linear):
        return linear_int4(x, layer, residual, pdl)
    if isinstance(layer, Fp8Linear):
        return linear_fp8(*quantize_rows(x, pdl=pdl), layer, residual, x.dtype)
    raise TypeError(f"{type(layer).__name__} has no GPU kernel")


def linear_int8(x: Tensor, layer: Int8PlanesLinear, residual: Tensor | None, pdl: bool) -> Tensor:
    """`linear` for an int8 layer."""
    if x.shape[0] < UNPACK_FROM_ROWS["int8"]:
        return gemm_int8(x, layer.words, layer.scale, layer.bias, residual, residual, pdl=pdl)
    weight = dequantize_int8(layer.words, layer.scale, layer.inputs, x.dtype)
    return _dense(x, weight, layer.bias, residual)


def linear_int4(x: Tensor, layer: Int4Linear, residual: Tensor | None, pdl: bool) -> Tensor:
    """`linear` for an int4 layer."""
    grid, group = layer.scales_and_zeros, layer.group
    if x.shape[0] < UNPACK_FROM_ROWS["int4"]:
        return gemm_int4(x, layer.packed, grid, group, layer.bias, residual, residual, pdl=pdl)
    weight = dequantize_int4(layer.packed, grid, group, layer.inputs, x.dtype)
    return _dense(x, weight, layer.bias, residual)


def linear_fp8(
    x: Tensor, x_scale: Tensor, layer: Fp8Linear, residual: Tensor | None, dtype: torch.dtype
) -> Tensor:
    """`linear` for an fp8 layer and rows already in e4m3, as norm and gate may write them."""
    y = scaled_product(x, x_scale, layer.q, layer.scale, layer.bias, None, dtype)
    return y if residual is None else residual.add_(y)


def reserve_for(layers: list[Linear], dtype: torch.dtype) -> None:
    """Allocate what unpacking the largest of `layers` takes, before any graph is captured."""
    sizes = [features(layer) * layer.inputs for layer in layers if isinstance(layer, _PACKED)]
    if sizes:
        device = layers[0].tensors()[0].device
        workspace(device).reserve_dense(max(sizes), dtype)


def features(layer: Int8PlanesLinear | Int4Linear) -> int:
    """How many outputs a packed layer has."""
    return layer.packed.shape[1] if isinstance(layer, Int4Linear) else layer.words.shape[0]


def _dense(x: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor | None) -> Tensor:
    if residual is None:
        return F.linear(x, weight, bias)
    if bias is not None:
        residual.add_(bias)
    return torch.addmm(residual, x, weight.t(), out=residual)
