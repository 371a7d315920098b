"""RMSNorm and LayerNorm, fused with the fp8 rounding after.

One program a row: a row is read once, stays in registers, and is written once.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .dependent_launch import launch_options, wait_for_previous
from .fp8_rows import empty_fp8_rows, quantize_row


@triton.jit
def _norm_kernel(
    x_ptr,
    weight_ptr,
    bias_ptr,
    out_ptr,
    scale_ptr,
    x_stride,
    out_stride,
    width,
    eps,
    CENTER: tl.constexpr,
    QUANTIZE: tl.constexpr,
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    # Parameters do not depend on the kernel before.
    weight = tl.load(weight_ptr + columns, mask=inside, other=0.0).to(tl.float32)
    if CENTER:
        bias = tl.load(bias_ptr + columns, mask=inside, other=0.0).to(tl.float32)
    wait_for_previous(PDL)
    x = tl.load(x_ptr + row * x_stride + columns, mask=inside, other=0.0).to(tl.float32)
    if CENTER:
        x = tl.where(inside, x - tl.sum(x, axis=0) / width, 0.0)
    normed = x * tl.rsqrt(tl.sum(x * x, axis=0) / width + eps) * weight
    if CENTER:
        normed += bias
    if QUANTIZE:
        # From what the unfused norm would have written, so that fusing changes no result.
        q, scale = quantize_row(normed.to(x_ptr.dtype.element_ty).to(tl.float32))
        tl.store(out_ptr + row * out_stride + columns, q, mask=inside)
        tl.store(scale_ptr + row, scale)
    else:
        normed = normed.to(out_ptr.dtype.element_ty)
        tl.store(out_ptr + row * out_stride + columns, normed, mask=inside)


def rms_norm(x: Tensor, weight: Tensor, eps: float, *, pdl: bool = False) -> Tensor:
    """RMSNorm (Zhang and Sennrich 2019) of `x [rows, width]`, times `weight [width]`.

    Rows may be strided. Returns `[rows, width]` in the dtype of `x`.
    """
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    _launch(x, weight, None, out, None, eps, pdl)
    return out


def rms_norm_fp8(
    x: Tensor, weight: Tensor, eps: float, *, pdl: bool = False
) -> tuple[Tensor, Tensor]:
    """`rms_norm`, rounded row by row to fp8: e4m3 `[rows, width]` and fp32 scales `[rows, 1]`.

    The scale of a row is `max|row| / 448`, at least 1e-12; the value is `q * scale`.
    """
    q, scale = empty_fp8_rows(x.shape[0], x.shape[1], x.device)
    _launch(x, weight, None, q, scale, eps, pdl)
    return q, scale


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float, *, pdl: bool = False) -> Tensor:
    """LayerNorm (Ba et al. 2016) of `x [rows, width]` with `weight` and `bias [width]`.

    Rows may be strided. Returns `[rows, width]` in the dtype of `x`.
    """
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    _launch(x, weight, bias, out, None, eps, pdl)
    return out


def _launch(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    out: Tensor,
    scale: Tensor | None,
    eps: float,
    pdl: bool,
) -> None:
    rows, width = x.shape
    block = triton.next_power_of_2(width)
    _norm_kernel[(rows,)](
        x,
        weight,
        weight if bias is None else bias,
        out,
        out if scale is None else scale,
        x.stride(0),
        out.stride(0),
        width,
        eps,
        CENTER=bias is not None,
        QUANTIZE=scale is not None,
        BLOCK=block,
        PDL=pdl,
        # 16 elements a thread, so that one row's loads are all in flight at once.
        num_warps=max(1, min(16, block // 512)),
        **launch_options(pdl),
    )
