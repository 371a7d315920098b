"""Linear layers for more rows than the skinny kernels take: `y = x Wᵀ + bias + residual`.

One entry a weight format, all through `gemm_kernel`. They may be captured in a CUDA graph.
"""

import torch
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from ...precision.planes import BLOCK, check_int4_planes, check_int8_planes
from ..common.dependent_launch import launch_options
from ..common.gpu_limits import gpu_limits, interpreted
from .gemm_kernel import gemm_kernel
from .gemm_plan import GemmPlan, WeightFormat, plan_gemm
from .tile_descriptors import tile_descriptor
from .workspace import workspace

_PLANES: dict[WeightFormat, int] = {"int8": 2, "int4": 4, "fp8": 1, "bf16": 1}
"""Weights in an element of a weight's tensor."""


def gemm_int8(
    x: Tensor,
    words: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    out: Tensor | None = None,
    plan: GemmPlan | None = None,
    pdl: bool = False,
) -> Tensor:
    """`x [rows, in]` by int8 planes `[out, padded in / 2]`, `scale [out]`: `[rows, out]`.

    `residual [rows, out]` is added; it may be `out`, which is then written over.
    """
    check_int8_planes(words, x.shape[1])
    return _launch("int8", x, words, None, 32, scale, None, bias, residual, out, plan, pdl)


def gemm_int4(
    x: Tensor,
    words: Tensor,
    scales_and_zeros: Tensor,
    group: int,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    out: Tensor | None = None,
    plan: GemmPlan | None = None,
    pdl: bool = False,
) -> Tensor:
    """`x [rows, in]` by int4 words `[blocks, out, 32]` (`planes.pack_int4`): `[rows, out]`.

    `scales_and_zeros` is bf16 `[padded in / group, out, 2]`, with zeros in the padding; `group` is
    32, 64 or a multiple of 128.
    """
    check_int4_planes(words, scales_and_zeros, group, x.shape[1])
    grid = scales_and_zeros.view(torch.int32)
    return _launch("int4", x, words, grid, group, None, None, bias, residual, out, plan, pdl)


def gemm_fp8(
    x: Tensor,
    row_scale: Tensor,
    q: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    out: Tensor | None = None,
    plan: GemmPlan | None = None,
    pdl: bool = False,
    dtype: torch.dtype = torch.bfloat16,
) -> Tensor:
    """e4m3 `x [rows, in]` with fp32 `row_scale [rows, 1]` by e4m3 `q [out, in]`, `scale [out]`."""
    if out is None:
        out = torch.empty(x.shape[0], q.shape[0], dtype=dtype, device=x.device)
    return _launch("fp8", x, q, None, 32, scale, row_scale, bias, residual, out, plan, pdl)


def gemm_dense(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    residual: Tensor | None = None,
    out: Tensor | None = None,
    plan: GemmPlan | None = None,
    pdl: bool = False,
) -> Tensor:
    """`x [rows, in]` by a bf16 or fp16 `weight [out, in]`."""
    return _launch("bf16", x, weight, None, 32, None, None, bias, residual, out, plan, pdl)


def _launch(
    weight_format: WeightFormat,
    x: Tensor,
    weight: Tensor,
    grid: Tensor | None,
    group: int,
    scale: Tensor | None,
    row_scale: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    out: Tensor | None,
    plan: GemmPlan | None,
    pdl: bool,
) -> Tensor:
    rows, inputs = x.shape
    features = weight.shape[1] if weight_format == "int4" else weight.shape[0]
    if out is None:
        out = torch.empty(rows, features, dtype=x.dtype, device=x.device)
    if residual is not None and residual.stride() != out.stride():
        raise ValueError("a residual must lie in memory as the output does")
    chip = gpu_limits(x.device)
    if plan is None:
        plan = plan_gemm(weight_format, rows, features, inputs, chip, chip.bulk_tensors)
    operands = _operands(weight_format, x, weight, plan)
    if operands is None:
        plan, operands = plan_gemm(weight_format, rows, features, inputs, chip), (x, weight)
    if not plan.fits(rows, features):
        raise ValueError(f"the sums of {plan} for {rows} rows do not fit the workspace")
    shared = workspace(x.device)
    # What a launch does not use must still be a pointer of the right type: fewer kernels to build.
    gemm_kernel[(plan.tiles(rows, features), plan.splits)](
        *operands,
        shared.arrivals if grid is None else grid,
        out if scale is None else scale,
        shared.partials if row_scale is None else row_scale,
        out if bias is None else bias,
        out if residual is None else residual,
        out,
        shared.partials,
        shared.arrivals,
        rows,
        features,
        inputs,
        x.stride(0),
        out.stride(0),
        plan.splits,
        plan.blocks_per_split,
        int(bias is not None),
        int(residual is not None),
        FORMAT=weight_format,
        GROUP=group,
        EVEN=inputs % BLOCK == 0,
        FAST=x.dtype is torch.bfloat16 and not interpreted(x.device),
        BULK=plan.bulk,
        BLOCK_N=plan.block_n,
        BLOCK_M=plan.block_m,
        STAGES=plan.stages,
        PDL=pdl,
        num_warps=plan.warps,
        **launch_options(pdl),
    )
    return out


def _operands(
    weight_format: WeightFormat, x: Tensor, weight: Tensor, plan: GemmPlan
) -> tuple[Tensor | TensorDescriptor, Tensor | TensorDescriptor] | None:
    """What the kernel loads from by `plan`; `None` if that is a descriptor and there is none."""
    if not plan.bulk:
        return x, weight
    x_tiles = tile_descriptor(x, plan.block_m, BLOCK)
    weight_tiles = tile_descriptor(weight, plan.block_n, BLOCK // _PLANES[weight_format])
    return None if x_tiles is None or weight_tiles is None else (x_tiles, weight_tiles)
