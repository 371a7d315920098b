"""A layer's weight as every kernel of this package takes it."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ...precision.linear import DenseLinear, Fp8Linear, Int4Linear, Int8PlanesLinear, Linear
from ...precision.planes import check_int4_planes, check_int8_planes

WeightFormat = Literal["dense", "int8", "int4", "fp8"]


class LayerWeight(NamedTuple):
    """A weight of `features` rows by `inputs` in its format, and the layer's `bias [features]`.

    dense: `data [features, inputs]` in the activations' dtype. int8: int16 planes
    `[features, padded inputs / 2]` (`pack_int8_planes`), `scale [features]`. int4: int16 words
    `[blocks, features, 32]` (`pack_int4`), `scale` int32 `[padded inputs / group, features, 1]`,
    a bf16 scale and a bf16 zero each. fp8: e4m3 `[features, inputs]`, fp32 `scale [1, features]`.
    """

    format: WeightFormat
    data: Tensor
    features: int
    inputs: int
    scale: Tensor | None = None
    group: int = 128
    bias: Tensor | None = None

    @classmethod
    def of(cls, layer: Linear) -> "LayerWeight":
        """The weight of a layer that a GPU runs.

        Raises TypeError for a layer that only a CPU runs, and ValueError for packed words that are
        not laid out as the kernels read them (`precision/planes.py`).
        """
        if isinstance(layer, DenseLinear):
            features, inputs = layer.weight.shape
            return cls("dense", layer.weight, features, inputs, bias=layer.bias)
        if isinstance(layer, Fp8Linear):
            features, inputs = layer.q.shape
            return cls("fp8", layer.q, features, inputs, layer.scale, bias=layer.bias)
        if isinstance(layer, Int8PlanesLinear):
            words, inputs = layer.words, layer.inputs
            check_int8_planes(words, inputs)
            return cls("int8", words, words.shape[0], inputs, layer.scale, bias=layer.bias)
        if isinstance(layer, Int4Linear):
            words, inputs, group = layer.packed, layer.inputs, layer.group
            check_int4_planes(words, layer.scales_and_zeros, group, inputs)
            pairs = layer.scales_and_zeros.view(torch.int32)
            return cls("int4", words, words.shape[1], inputs, pairs, group, layer.bias)
        raise TypeError(f"{type(layer).__name__} has no GPU kernel")
