"""The gated MLP's middle: activation(gate) · up from the fused projection."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...shape.parts import Activation
from ..common.dependent_launch import launch_options, wait_for_previous
from .skinny_fusion import activate

_COLUMNS = 1024


@triton.jit
def _gated_kernel(
    x_ptr, out_ptr, x_stride, out_stride, width, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(1).to(tl.int64)
    columns = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < width
    x_ptrs = x_ptr + row * x_stride + columns
    wait_for_previous(PDL)
    gate = tl.load(x_ptrs, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(x_ptrs + width, mask=inside, other=0.0).to(tl.float32)
    product = (activate(gate, ACTIVATION) * up).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + row * out_stride + columns, product, mask=inside)


def gated(gate_up: Tensor, activation: Activation, *, pdl: bool = False) -> Tensor:
    """`activation(gate) * up` `[rows, intermediate]` from `gate_up [rows, 2 · intermediate]`.

    The gate is the first half of a row. Raises ValueError for the exact GELU, which has no kernel.
    """
    if activation is Activation.GELU:
        raise ValueError("the exact GELU has no kernel")
    rows, width = gate_up.shape[0], gate_up.shape[1] // 2
    out = torch.empty((rows, width), dtype=gate_up.dtype, device=gate_up.device)
    block = min(_COLUMNS, triton.next_power_of_2(width))
    _gated_kernel[(triton.cdiv(width, block), rows)](
        gate_up,
        out,
        gate_up.stride(0),
        out.stride(0),
        width,
        ACTIVATION=activation.value,
        BLOCK=block,
        PDL=pdl,
        num_warps=4,
        **launch_options(pdl),
    )
    return out
