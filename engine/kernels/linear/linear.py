"""A linear layer of any level on CUDA, by the fastest way for the rows at hand.

Up to 16 rows go to the skinny kernels, which only read the weight as fast as it can be read. For
more, the packed kernels win as long as bytes are the cost; where the product itself is, it may pay
to unpack the weight once and leave the rest to cuBLAS.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...precision.linear import DenseLinear, Fp8Linear, Int4Linear, Int8PlanesLinear, Linear
from .cublas_choice import learn_products, learned_product
from .dequantize import dequantize_int4, dequantize_int8
from .dispatch import UNPACK_FROM_ROWS, dense_pays, scaled_product_pays
from .fp8 import quantize_rows, scaled_product
from .gemm import gemm_dense, gemm_fp8, gemm_int4, gemm_int8
from .skinny import MOST_ROWS, skinny_linear
from .weight import skinny_weight
from .workspace import workspace

Fp8Rows = tuple[Tensor, Tensor]
"""e4m3 `[rows, in]` and fp32 scales `[rows, 1]`, as `rms_norm_fp8` and `gated_fp8` write them."""

_PACKED = (Int8PlanesLinear, Int4Linear)


def linear(
    x: Tensor | Fp8Rows,
    layer: Linear,
    residual: Tensor | None = None,
    pdl: bool = False,
) -> Tensor:
    """`layer(x) + residual` `[rows, out]`; a `residual [rows, out]` is written over.

    `x` is `[rows, in]`, or for an fp8 layer rows that are already rounded; the result is then bf16.
    With `pdl` the kernels wait for the one before them on the device (`dependent_launch`).

    Raises TypeError for a layer that only a CPU runs, and for rounded rows of another level.
    """
    if not isinstance(x, Tensor):
        if not isinstance(layer, Fp8Linear):
            raise TypeError(f"{type(layer).__name__} does not take fp8 rows")
        return linear_fp8(x, layer, residual, torch.bfloat16, pdl)
    if x.shape[0] <= MOST_ROWS:
        weight = skinny_weight(layer, x.dtype, x.shape[0])
        if weight is not None:
            bias = layer_bias(layer)
            return skinny_linear(x, weight, bias=bias, residual=residual, out=residual, pdl=pdl)
    if isinstance(layer, DenseLinear):
        return _dense(x, layer.weight, layer.bias, residual, pdl)
    if isinstance(layer, Int8PlanesLinear):
        return linear_int8(x, layer, residual, pdl)
    if isinstance(layer, Int4Linear):
        return linear_int4(x, layer, residual, pdl)
    if isinstance(layer, Fp8Linear):
        return linear_fp8(quantize_rows(x, pdl=pdl), layer, residual, x.dtype, pdl)
    raise TypeError(f"{type(layer).__name__} has no GPU kernel")


def linear_int8(x: Tensor, layer: Int8PlanesLinear, residual: Tensor | None, pdl: bool) -> Tensor:
    """`linear` for an int8 layer and any number of rows."""
    if x.shape[0] < UNPACK_FROM_ROWS["int8"]:
        return gemm_int8(x, layer.words, layer.scale, layer.bias, residual, residual, pdl=pdl)
    weight = dequantize_int8(layer.words, layer.scale, layer.inputs, x.dtype)
    return _cublas(x, weight, layer.bias, residual)


def linear_int4(x: Tensor, layer: Int4Linear, residual: Tensor | None, pdl: bool) -> Tensor:
    """`linear` for an int4 layer and any number of rows."""
    grid, group = layer.scales_and_zeros, layer.group
    if x.shape[0] < UNPACK_FROM_ROWS["int4"]:
        return gemm_int4(x, layer.packed, grid, group, layer.bias, residual, residual, pdl=pdl)
    weight = dequantize_int4(layer.packed, grid, group, layer.inputs, x.dtype)
    return _cublas(x, weight, layer.bias, residual)


def linear_fp8(
    x: Fp8Rows, layer: Fp8Linear, residual: Tensor | None, dtype: torch.dtype, pdl: bool
) -> Tensor:
    """`linear` for an fp8 layer and rounded rows; the result in `dtype`."""
    q, scale = x
    if scaled_product_pays(q.shape[0], layer.q.shape[0], residual is not None):
        y = scaled_product(q, scale, layer.q, layer.scale, layer.bias, dtype)
        return y if residual is None else residual.add_(y)
    return gemm_fp8(
        q, scale, layer.q, layer.scale, layer.bias, residual, residual, pdl=pdl, dtype=dtype
    )


def layer_bias(layer: Linear) -> Tensor | None:
    """The bias `[out]` of a layer that a GPU runs."""
    if isinstance(layer, (DenseLinear, Fp8Linear, *_PACKED)):
        return layer.bias
    raise TypeError(f"{type(layer).__name__} has no GPU kernel")


def reserve_for(layers: Sequence[Linear], dtype: torch.dtype, most_rows: int) -> None:
    """Allocate what unpacking the largest of `layers` takes, before any graph is captured.

    Nothing where steps of `most_rows` rows unpack none.
    """
    sizes = [
        _features(layer) * layer.inputs
        for layer in layers
        if isinstance(layer, _PACKED) and most_rows >= _unpacked_from(layer)
    ]
    if sizes:
        device = layers[0].tensors()[0].device
        workspace(device).reserve_dense(max(sizes), dtype)


def learn_for(layers: Sequence[Linear], sizes: Sequence[int]) -> None:
    """Find the fastest products of the dense `layers` for each of `sizes` rows, before any graph.

    `sizes` are those of decode steps; products of other numbers of rows are left to torch.
    """
    learn_products([layer.weight for layer in layers if isinstance(layer, DenseLinear)], sizes)


def _unpacked_from(layer: Int8PlanesLinear | Int4Linear) -> int:
    return UNPACK_FROM_ROWS["int4" if isinstance(layer, Int4Linear) else "int8"]


def _features(layer: Int8PlanesLinear | Int4Linear) -> int:
    return layer.packed.shape[1] if isinstance(layer, Int4Linear) else layer.words.shape[0]


def _dense(
    x: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor | None, pdl: bool
) -> Tensor:
    if x.dtype is torch.bfloat16 and dense_pays(x.shape[0], weight.shape[0]):
        return gemm_dense(x, weight, bias, residual, residual, pdl=pdl)
    return _cublas(x, weight, bias, residual)


def linear_by_cublas(x: Tensor, layer: DenseLinear, residual: Tensor | None = None) -> Tensor:
    """`linear` for a dense layer and any number of rows, by no kernel that is compiled for it."""
    return _cublas(x, layer.weight, layer.bias, residual)


def _cublas(x: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor | None) -> Tensor:
    if bias is not None:
        if residual is None:
            return F.linear(x, weight, bias)
        residual.add_(bias)
    y = learned_product(x, weight, residual)
    if y is not None:
        return y
    if residual is None:
        return F.linear(x, weight)
    return torch.addmm(residual, x, weight.t(), out=residual)
