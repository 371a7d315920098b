"""The gated MLP's middle: act(gate) · up from the fused projection, and its fp8 rounding."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...shape.parts import Activation
from ..common.dependent_launch import launch_options, wait_for_previous
from ..common.fp8_rows import empty_fp8_rows, quantize_row

_COLUMNS = 1024


@triton.jit
def _act(x, GELU: tl.constexpr):
    """SiLU, or GELU's tanh form (Hendrycks and Gimpel 2016), since 1 + tanh(t) = 2 sigmoid(2t)."""
    if GELU:
        return x * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))
    return x * tl.sigmoid(x)


@triton.jit
def _gated_kernel(
    x_ptr,
    out_ptr,
    scale_ptr,
    x_stride,
    out_stride,
    width,
    GELU: tl.constexpr,
    QUANTIZE: tl.constexpr,
    BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):
    row = tl.program_id(1).to(tl.int64)
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < width
    x_ptrs = x_ptr + row * x_stride + columns
    wait_for_previous(PDL)
    gate = tl.load(x_ptrs, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(x_ptrs + width, mask=inside, other=0.0).to(tl.float32)
    product = _act(gate, GELU) * up
    if QUANTIZE:
        # From what the unfused product would have written, so that fusing changes no result.
        q, scale = quantize_row(product.to(x_ptr.dtype.element_ty).to(tl.float32))
        tl.store(out_ptr + row * out_stride + columns, q, mask=inside)
        tl.store(scale_ptr + row, scale)
    else:
        product = product.to(out_ptr.dtype.element_ty)
        tl.store(out_ptr + row * out_stride + columns, product, mask=inside)


def gated(
    gate_up: Tensor, activation: Activation, *, out: Tensor | None = None, pdl: bool = False
) -> Tensor:
    """`act(gate) * up` `[rows, intermediate]` from `gate_up [rows, 2 · intermediate]`.

    The gate is the first half of a row. Raises ValueError for the exact GELU, which has no kernel.
    """
    rows, width = gate_up.shape[0], gate_up.shape[1] // 2
    if out is None:
        out = torch.empty((rows, width), dtype=gate_up.dtype, device=gate_up.device)
    block = min(_COLUMNS, triton.next_power_of_2(width))
    _gated_kernel[(triton.cdiv(width, block), rows)](
        gate_up,
        out,
        out,
        gate_up.stride(0),
        out.stride(0),
        width,
        GELU=_is_gelu(activation),
        QUANTIZE=False,
        BLOCK=block,
        PDL=pdl,
        num_warps=4,
        **launch_options(pdl),
    )
    return out


def gated_fp8(
    gate_up: Tensor,
    activation: Activation,
    *,
    out: tuple[Tensor, Tensor] | None = None,
    pdl: bool = False,
) -> tuple[Tensor, Tensor]:
    """`gated`, rounded row by row to fp8: e4m3 `[rows, intermediate]`, fp32 scales `[rows, 1]`.

    The scale of a row is `max|row| / 448`, at least 1e-12. One program a row, since the scale
    needs all of it.
    """
    rows, width = gate_up.shape[0], gate_up.shape[1] // 2
    q, scale = empty_fp8_rows(rows, width, gate_up.device) if out is None else out
    block = triton.next_power_of_2(width)
    _gated_kernel[(1, rows)](
        gate_up,
        q,
        scale,
        gate_up.stride(0),
        q.stride(0),
        width,
        GELU=_is_gelu(activation),
        QUANTIZE=True,
        BLOCK=block,
        PDL=pdl,
        num_warps=max(1, min(32, block // 512)),
        **launch_options(pdl),
    )
    return q, scale


def _is_gelu(activation: Activation) -> bool:
    if activation is Activation.GELU:
        raise ValueError("the exact GELU has no kernel")
    return activation is Activation.GELU_TANH
