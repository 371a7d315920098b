"""A whole packed weight to a dense one: with many rows the product costs more than this does."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from ...precision.planes import BLOCK, padded_inputs
from ..common.gpu_limits import interpreted
from .unpack import unpack_int4, unpack_int8
from .weight import LayerWeight
from .workspace import workspace

_ROWS = 32
"""Output features a program takes."""


@triton.jit
def _int8_kernel(
    words, scale, out, features, inputs, EVEN: tl.constexpr, INLINE_PTX: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    feature = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    block = tl.program_id(0)
    word = tl.arange(0, 64)
    inside = feature[:, None] < features
    row_words = feature[:, None].to(tl.int64) * (tl.cdiv(inputs, 128) * 64)
    packed = tl.load(words + row_words + block * 64 + word[None, :], mask=inside)
    row_scale = tl.load(scale + feature, mask=feature < features).to(tl.float32)[:, None]
    first, second = unpack_int8(packed, out.dtype.element_ty, INLINE_PTX)
    column = block * 128 + word[None, :]
    target = out + feature[:, None].to(tl.int64) * inputs + column
    first = (first.to(tl.float32) * row_scale).to(out.dtype.element_ty)
    second = (second.to(tl.float32) * row_scale).to(out.dtype.element_ty)
    tl.store(target, first, mask=inside & (EVEN | (column < inputs)))
    tl.store(target + 64, second, mask=inside & (EVEN | (column + 64 < inputs)))


@triton.jit
def _store_plane(target, values, column, inputs, inside, EVEN: tl.constexpr, PLANE: tl.constexpr):
    first = PLANE * 32
    tl.store(target + first, values, mask=inside & (EVEN | (column + first < inputs)))


@triton.jit
def _int4_kernel(
    words, grid, out, features, inputs, GROUP: tl.constexpr, EVEN: tl.constexpr,
    INLINE_PTX: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    feature = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    block = tl.program_id(0)
    word = tl.arange(0, 32)
    feature_inside = feature < features
    inside = feature_inside[:, None]
    row_words = (block.to(tl.int64) * features + feature)[:, None] * 32
    packed = tl.load(words + row_words + word[None, :], mask=inside)
    first = block * 128
    grid0 = tl.load(grid + first // GROUP * features + feature, mask=feature_inside)[:, None]
    grid1 = tl.load(grid + (first + 32) // GROUP * features + feature, mask=feature_inside)[:, None]
    grid2 = tl.load(grid + (first + 64) // GROUP * features + feature, mask=feature_inside)[:, None]
    grid3 = tl.load(grid + (first + 96) // GROUP * features + feature, mask=feature_inside)[:, None]
    w0, w1, w2, w3 = unpack_int4(
        packed, grid0, grid1, grid2, grid3, out.dtype.element_ty, INLINE_PTX
    )
    column = first + word[None, :]
    target = out + feature[:, None].to(tl.int64) * inputs + column
    _store_plane(target, w0, column, inputs, inside, EVEN, 0)
    _store_plane(target, w1, column, inputs, inside, EVEN, 1)
    _store_plane(target, w2, column, inputs, inside, EVEN, 2)
    _store_plane(target, w3, column, inputs, inside, EVEN, 3)


def dequantize(weight: LayerWeight, dtype: torch.dtype) -> Tensor:
    """The dense `[features, inputs]` of an int8 or int4 weight, in the device's shared buffer."""
    features, inputs, device = weight.features, weight.inputs, weight.data.device
    out = workspace(device).dense(features, inputs, dtype)
    grid = (padded_inputs(inputs) // BLOCK, triton.cdiv(features, _ROWS))
    operands = weight.data, weight.scale, out, features, inputs
    even = inputs % BLOCK == 0
    inline_ptx = dtype is torch.bfloat16 and not interpreted(device)
    if weight.format == "int4":
        _int4_kernel[grid](
            *operands, GROUP=weight.group, EVEN=even, INLINE_PTX=inline_ptx, ROWS=_ROWS
        )
    else:
        _int8_kernel[grid](*operands, EVEN=even, INLINE_PTX=inline_ptx, ROWS=_ROWS)
    return out
