"""A linear layer of any level on CUDA, by the kernel that `dispatch` names for the rows at hand."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...precision.linear import Linear
from ...shape.parts import Activation
from ..common.gpu_limits import gpu_limits
from ..common.norm import rms_norm, rms_norm_fp8
from .cublas_choice import multiply_as_chosen
from .dequantize import dequantize
from .dispatch import Dispatch, Kernel, Product, dispatch
from .fp8 import quantize_rows, scaled_product
from .gated import gated
from .gemm import gemm
from .gemm_launch import GemmLaunch
from .skinny import skinny_linear
from .skinny_launch import SkinnyLaunch
from .weight import LayerWeight

Fp8Rows = tuple[Tensor, Tensor]
"""e4m3 `[rows, in]` and fp32 scales `[rows, 1]`: `rms_norm_fp8`, `quantize_rows`."""


def linear(
    x: Tensor | Fp8Rows,
    layer: Linear,
    residual: Tensor | None = None,
    *,
    sampled_only: bool = False,
    pdl: bool = False,
) -> Tensor:
    """`layer(x) + residual` `[rows, out]`; a `residual [rows, out]` is written over.

    `x` is `[rows, in]`, or for an fp8 layer rows that are already rounded; the result is then bf16.
    `sampled_only` as in `Product`. With `pdl` the kernels wait for the one before them on the
    device (`dependent_launch`).

    Raises TypeError for a layer that only a CPU runs, and for rounded rows of another level.
    """
    weight = LayerWeight.of(layer)
    if not isinstance(x, Tensor):
        if weight.format != "fp8":
            raise TypeError(f"{type(layer).__name__} does not take fp8 rows")
        return _multiply_fp8(x, weight, residual, torch.bfloat16, pdl)
    choice = _choose(x, weight, residual is not None, sampled_only=sampled_only)
    return _multiply(x, weight, choice, residual, pdl)


def norm_linear(
    x: Tensor,
    norm: tuple[Tensor, float],
    layer: Linear,
    activation: Activation | None = None,
    *,
    sampled_only: bool = False,
    pdl: bool = False,
) -> Tensor:
    """`layer(RMSNorm(x))` `[rows, out]` of `x [rows, in]`, as fused as it goes.

    `norm` is its weight `[in]` and epsilon. With an `activation` the layer is a gate and up
    projection, and the result `activation(gate) · up` `[rows, out / 2]`.

    Raises TypeError for a layer that only a CPU runs, ValueError for the exact GELU, which no
    kernel has.
    """
    weight = LayerWeight.of(layer)
    choice = _choose(x, weight, False, sampled_only=sampled_only, gated=activation is not None)
    if isinstance(choice.launch, SkinnyLaunch):
        return skinny_linear(x, weight, choice.launch, norm=norm, activation=activation, pdl=pdl)
    if weight.format == "fp8":
        out = _multiply_fp8(rms_norm_fp8(x, *norm, pdl=pdl), weight, None, torch.bfloat16, pdl)
    else:
        out = _multiply(rms_norm(x, *norm, pdl=pdl), weight, choice, None, pdl)
    return out if activation is None else gated(out, activation, pdl=pdl)


def _choose(
    x: Tensor,
    weight: LayerWeight,
    has_residual: bool,
    *,
    sampled_only: bool = False,
    gated: bool = False,
) -> Dispatch:
    product = Product(
        weight.format,
        x.shape[0],
        weight.features,
        weight.inputs,
        x.dtype,
        weight.group,
        gated,
        has_residual,
        sampled_only,
    )
    return dispatch(product, gpu_limits(x.device))


def _multiply(
    x: Tensor, weight: LayerWeight, choice: Dispatch, residual: Tensor | None, pdl: bool
) -> Tensor:
    if isinstance(choice.launch, SkinnyLaunch):
        return skinny_linear(x, weight, choice.launch, residual=residual, out=residual, pdl=pdl)
    if weight.format == "fp8":
        return _multiply_fp8(quantize_rows(x, pdl=pdl), weight, residual, x.dtype, pdl)
    if isinstance(choice.launch, GemmLaunch):
        return gemm(x, weight, residual, launch=choice.launch, pdl=pdl)
    dense = dequantize(weight, x.dtype) if choice.kernel is Kernel.UNPACK else weight.data
    return _multiply_by_cublas(x, dense, weight.bias, residual)


def _multiply_fp8(
    x: Fp8Rows, weight: LayerWeight, residual: Tensor | None, dtype: torch.dtype, pdl: bool
) -> Tensor:
    """The product of rounded rows, in `dtype`."""
    q, row_scale = x
    choice = _choose(q, weight, residual is not None)
    if not isinstance(choice.launch, GemmLaunch):
        return scaled_product(q, row_scale, weight, dtype, residual)
    launch = choice.launch
    return gemm(q, weight, residual, row_scale=row_scale, dtype=dtype, launch=launch, pdl=pdl)


def _multiply_by_cublas(
    x: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor | None
) -> Tensor:
    if bias is not None:
        if residual is None:
            return F.linear(x, weight, bias)
        residual.add_(bias)
    y = multiply_as_chosen(x, weight, residual)
    if y is not None:
        return y
    if residual is None:
        return F.linear(x, weight)
    return torch.addmm(residual, x, weight.t(), out=residual)
