"""The fp8 product: activations rounded row by row, then a row-wise scaled matrix product."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.dependent_launch import launch_options, wait_for_previous
from ..common.fp8_rows import empty_fp8_rows, quantize_row
from .cublas_choice import multiply_as_chosen
from .cublas_trial import by_torch
from .weight import LayerWeight


@triton.jit
def _quantize_kernel(
    x, out, scale, x_stride, out_stride, width, BLOCK: tl.constexpr, PDL: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    wait_for_previous(PDL)
    values = tl.load(x + row * x_stride + columns, mask=inside, other=0.0).to(tl.float32)
    q, row_scale = quantize_row(values)
    tl.store(out + row * out_stride + columns, q, mask=inside)
    tl.store(scale + row, row_scale)


def quantize_rows(x: Tensor, *, pdl: bool = False) -> tuple[Tensor, Tensor]:
    """e4m3 `[rows, width]` and fp32 scales `[rows, 1]` of `x [rows, width]`.

    The scale of a row is `max|row| / 448`, at least 1e-12; the value is `q * scale`. Rows may be
    strided.
    """
    rows, width = x.shape
    q, scale = empty_fp8_rows(rows, width, x.device)
    block = triton.next_power_of_2(width)
    _quantize_kernel[(rows,)](
        x,
        q,
        scale,
        x.stride(0),
        q.stride(0),
        width,
        BLOCK=block,
        PDL=pdl,
        num_warps=max(1, min(16, block // 512)),
        **launch_options(pdl),
    )
    return q, scale


def scaled_product(
    x: Tensor,
    row_scale: Tensor,
    weight: LayerWeight,
    dtype: torch.dtype,
    residual: Tensor | None = None,
) -> Tensor:
    """e4m3 `x [rows, in]` times `row_scale [rows, 1]` by an fp8 weight, plus its bias, in `dtype`.

    Added to a `residual [rows, out]` in place. Sums are kept in the tensor cores' own precision,
    about 14 bits of mantissa. Raises ValueError for a weight without scales.
    """
    if weight.scale is None:
        raise ValueError(f"a {weight.format} weight has no scales")
    if weight.bias is None and dtype is torch.bfloat16:
        y = multiply_as_chosen(x, weight.data, residual, (row_scale, weight.scale))
        if y is not None:
            return y
    y = by_torch(x, weight.data, (row_scale, weight.scale), dtype, weight.bias)
    return y if residual is None else residual.add_(y)
