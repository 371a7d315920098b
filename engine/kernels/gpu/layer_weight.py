"""A layer's weight as the skinny kernels take it."""

import torch

from ...precision.linear import DenseLinear, Fp8Linear, Int4Linear, Int8PlanesLinear, Linear
from .skinny import SkinnyWeight


def skinny_weight(layer: Linear, dtype: torch.dtype) -> SkinnyWeight | None:
    """The weight of `layer` for activations in `dtype`.

    `None` for fp32, which cuBLAS multiplies exactly. Raises TypeError for a layer that only a CPU
    runs.
    """
    if dtype is torch.float32:
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
