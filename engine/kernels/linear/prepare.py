"""What a model's linear layers need before anything is served, as `dispatch` says."""

from collections.abc import Sequence

import torch

from ...precision.linear import Linear, PackedLinear
from ..common.gpu_limits import gpu_limits
from .dispatch import Kernel, Product, dispatch, rows_of_each_variant
from .weight import LayerWeight
from .workspace import workspace


def reserve_unpacked(layers: Sequence[Linear], dtype: torch.dtype, most_rows: int) -> None:
    """Allocate what unpacking the largest of `layers` takes, before any graph is captured.

    Nothing where steps of `most_rows` rows of `dtype` unpack none. Raises TypeError for a layer
    that only a CPU runs.
    """
    weights = [LayerWeight.of(layer) for layer in layers]
    unpacked = [
        weight.features * weight.inputs
        for weight in weights
        if _choice(weight, dtype, most_rows) is Kernel.UNPACK
    ]
    if unpacked:
        workspace(weights[0].data.device).reserve_dense(max(unpacked), dtype)


def rows_to_warm_up(layers: Sequence[Linear], dtype: torch.dtype, most_rows: int) -> list[int]:
    """Numbers of rows, from 2 to `most_rows`, with which `layers` go through all their kernels.

    Raises TypeError for a layer that has none, but a CPU's `PackedLinear`, which tests run.
    """
    weights = (LayerWeight.of(layer) for layer in layers if not isinstance(layer, PackedLinear))
    products = (_product(weight, dtype, most_rows) for weight in weights)
    return rows_of_each_variant(products, most_rows, gpu_limits(layers[0].tensors()[0].device))


def _choice(weight: LayerWeight, dtype: torch.dtype, rows: int) -> Kernel:
    return dispatch(_product(weight, dtype, rows), gpu_limits(weight.data.device)).kernel


def _product(weight: LayerWeight, dtype: torch.dtype, rows: int) -> Product:
    return Product(weight.format, rows, weight.features, weight.inputs, dtype, weight.group)
