"""A layer's weight as the skinny kernels take it."""

import torch

from ...precision.linear import DenseLinear, Fp8Linear, Int4Linear, Int8PlanesLinear, Linear
from .skinny import MOST_ROWS, SkinnyWeight


def skinny_weight(layer: Linear, dtype: torch.dtype, rows: int = 1) -> SkinnyWeight | None:
    """The weight of `layer` for `rows` of activations in `dtype`, where the skinny kernels pay.

    `None` for fp32, which cuBLAS multiplies exactly, and where the kernels for more rows are
    faster. Raises TypeError for a layer that only a CPU runs.
    """
    if dtype is torch.float32 or not _pays(layer, rows):
        return None
    if isinstance(layer, DenseLinear):
        return SkinnyWeight.dense(layer.weight)
    if isinstance(layer, Int8PlanesLinear):
        return SkinnyWeight.int8(layer.words, layer.scale, layer.inputs)
    if isinstance(layer, Int4Linear):
        return SkinnyWeight.int4(layer.packed, layer.scales_and_zeros, layer.group, layer.inputs)
    if isinstance(layer, Fp8Linear):
        return SkinnyWeight.fp8(layer.q, layer.scale)
    raise TypeError(f"{type(layer).__name__} has no GPU kernel")


def _pays(layer: Linear, rows: int) -> bool:
    """Whether the skinny kernels multiply so many rows faster than those for more.

    Measured on an H200 by whole steps of the 8B shape. Packed weights only at one row: two at int8
    take 3.20 ms against 3.01, 16 3.92 against 3.34.
    """
    return rows == 1 or (isinstance(layer, DenseLinear) and rows <= MOST_ROWS)
