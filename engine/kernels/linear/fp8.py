"""The fp8 product: activations rounded row by row, then a row-wise scaled matrix product."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..common.dependent_launch import launch_options, wait_for_previous
from ..common.fp8_rows import empty_fp8_rows, quantize_row


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


def quantize_rows(
    x: Tensor, *, out: tuple[Tensor, Tensor] | None = None, pdl: bool = False
) -> tuple[Tensor, Tensor]:
    """e4m3 `[rows, width]` and fp32 scales `[rows, 1]` of `x [rows, width]`.

    The scale of a row is `max|row| / 448`, at least 1e-12; the value is `q * scale`. Rows may be
    strided.
    """
    rows, width = x.shape
    q, scale = empty_fp8_rows(rows, width, x.device) if out is None else out
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
    x_scale: Tensor,
    q: Tensor,
    scale: Tensor,
    bias: Tensor | None,
    dtype: torch.dtype,
    fast_accumulation: bool = True,
) -> Tensor:
    """`x [rows, in]` by `q [out, in]` (both e4m3) times `x_scale [rows, 1]` and `scale [1, out]`.

    Through torch's row-wise product, with `bias [out]` added.
    `fast_accumulation` keeps sums in the tensor cores' own precision, about 14 bits of mantissa.
    """
    return torch._scaled_mm(
        x,
        q.t(),
        scale_a=x_scale,
        scale_b=scale,
        bias=bias,
        out_dtype=dtype,
        use_fast_accum=fast_accumulation,
    )
