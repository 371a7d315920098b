"""Quantizing a weight some rows at a time, so that its fp32 copies never fill a device.

Rows are rounded independently of each other at every level, so the result is the same bits.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from .int4_fit import fit_int4
from .linear import Fp8Linear, Int4Linear, Int8PlanesLinear
from .planes import BLOCK, pack_int4, pack_int8_planes, padded_inputs
from .quantize import Int4Weight, quantize_fp8, quantize_int8

CHUNK_ELEMENTS = 1 << 24
"""Weights rounded at a time: 64 MiB in fp32, and a handful of copies of it."""


def int8_layer(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Int8PlanesLinear:
    """The int8 layer of `weight [out, in]`, on its device."""
    features, inputs = weight.shape
    words = weight.new_empty(features, padded_inputs(inputs) // 2, dtype=torch.int16)
    scale = weight.new_empty(features, dtype=dtype)
    for rows in _chunks(weight):
        quantized = quantize_int8(weight[rows], dtype)
        words[rows] = pack_int8_planes(quantized.q)
        scale[rows] = quantized.scale
    return Int8PlanesLinear(words, scale, inputs, bias)


def int4_layer(weight: Tensor, group: int, bias: Tensor | None, dtype: torch.dtype) -> Int4Linear:
    """The int4 layer of `weight [out, in]`, on its device."""
    features, inputs = weight.shape
    blocks = -(-inputs // BLOCK)
    packed = weight.new_empty(blocks, features, BLOCK // 4, dtype=torch.int16)
    groups = inputs // group + -inputs % BLOCK // group
    scales_and_zeros = weight.new_zeros(groups, features, 2, dtype=dtype)
    for rows in _chunks(weight):
        quantized: Int4Weight = fit_int4(weight[rows], group, dtype)
        packed[:, rows] = pack_int4(quantized.q)
        scales_and_zeros[: inputs // group, rows] = quantized.scales_and_zeros(dtype)
    return Int4Linear(packed, scales_and_zeros, group, inputs, bias)


def fp8_layer(weight: Tensor, bias: Tensor | None) -> Fp8Linear:
    """The fp8 layer of `weight [out, in]`, on its device."""
    q = torch.empty_like(weight, dtype=torch.float8_e4m3fn)
    scale = weight.new_empty(1, weight.shape[0], dtype=torch.float32)
    for rows in _chunks(weight):
        quantized = quantize_fp8(weight[rows])
        q[rows] = quantized.q
        scale[:, rows] = quantized.scale
    return Fp8Linear(q, scale, bias)


def _chunks(weight: Tensor) -> Iterator[slice]:
    features, inputs = weight.shape
    rows = max(1, CHUNK_ELEMENTS // inputs)
    for first in range(0, features, rows):
        yield slice(first, min(first + rows, features))
