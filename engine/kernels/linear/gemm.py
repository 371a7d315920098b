"""Linear layers by `gemm_kernel`, in tiles: `y = x Wᵀ + bias + residual` for every weight format.

It may be captured in a CUDA graph.
"""

import torch
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from ...precision.planes import BLOCK
from ..common.dependent_launch import launch_options
from ..common.gpu_limits import gpu_limits, interpreted
from ..common.tile_descriptors import tile_descriptor
from .gemm_kernel import gemm_kernel
from .gemm_launch import GemmLaunch, gemm_launch
from .weight import LayerWeight, WeightFormat
from .workspace import workspace

_PLANES: dict[WeightFormat, int] = {"int8": 2, "int4": 4, "fp8": 1, "dense": 1}
"""Weights in an element of a weight's tensor."""


def gemm(
    x: Tensor,
    weight: LayerWeight,
    residual: Tensor | None = None,
    *,
    row_scale: Tensor | None = None,
    dtype: torch.dtype | None = None,
    launch: GemmLaunch | None = None,
    pdl: bool = False,
) -> Tensor:
    """`x [rows, inputs]` by `weight`, plus its bias and `residual`: `[rows, features]`.

    A `residual [rows, features]` is written over; without one the result is of `dtype`, that of `x`
    by default. fp8 weights take e4m3 `x` with fp32 `row_scale [rows, 1]`, all others bf16 or fp16.

    Raises ValueError for a `launch` whose split sums do not fit the workspace.
    """
    rows, inputs = x.shape
    features = weight.features
    out = residual
    if out is None:
        out = torch.empty(rows, features, dtype=dtype or x.dtype, device=x.device)
    if launch is None:
        chip = gpu_limits(x.device)
        launch = gemm_launch(weight.format, rows, features, inputs, chip, chip.bulk_tensors)
    operands = _operands(x, weight, launch)
    if operands is None:
        launch = gemm_launch(weight.format, rows, features, inputs, gpu_limits(x.device))
        operands = x, weight.data
    if not launch.fits(rows, features):
        raise ValueError(f"the sums of {launch} for {rows} rows do not fit the workspace")
    shared = workspace(x.device)
    # What a launch does not use must still be a pointer of the right type: fewer kernels to build.
    grid, scale = shared.arrivals, out if weight.scale is None else weight.scale
    if weight.format == "int4":
        grid, scale = scale, out
    gemm_kernel[(launch.tiles(rows, features), launch.splits)](
        *operands, grid, scale, shared.partials if row_scale is None else row_scale,
        out if weight.bias is None else weight.bias, out, out,
        shared.partials, shared.arrivals, rows, features, inputs, x.stride(0), out.stride(0),
        launch.splits, launch.blocks_per_split,
        int(weight.bias is not None), int(residual is not None),
        FORMAT=weight.format, GROUP=weight.group, EVEN=inputs % BLOCK == 0,
        INLINE_PTX=x.dtype is torch.bfloat16 and not interpreted(x.device),
        BULK=launch.bulk, BLOCK_N=launch.block_n, BLOCK_M=launch.block_m, STAGES=launch.stages,
        PDL=pdl, num_warps=launch.warps, **launch_options(pdl),
    )  # fmt: skip
    return out


def _operands(
    x: Tensor, weight: LayerWeight, launch: GemmLaunch
) -> tuple[Tensor | TensorDescriptor, Tensor | TensorDescriptor] | None:
    """What the kernel loads from; `None` if that is a descriptor and there is none."""
    if not launch.bulk:
        return x, weight.data
    x_tiles = tile_descriptor(x, launch.block_m, BLOCK)
    weight_tiles = tile_descriptor(weight.data, launch.block_n, BLOCK // _PLANES[weight.format])
    return None if x_tiles is None or weight_tiles is None else (x_tiles, weight_tiles)
