"""Buffers that a device's kernels share, allocated once so that CUDA graphs may keep them.

Kernels of one stream run one after the other, so one set a device is enough. Products on two
streams at a time would write over each other's sums.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from .gemm_launch import LARGEST_TILE_COUNT, PARTIAL_ELEMENTS


@dataclass(slots=True)
class Workspace:
    """`partials` of split products, `arrivals` always zero between kernels, and a dense weight."""

    partials: Tensor
    arrivals: Tensor
    _dense: Tensor

    def reserve_dense(self, elements: int, dtype: torch.dtype) -> None:
        """Make room for the largest weight that `dense` will be asked for; not while capturing."""
        if self._dense.dtype is not dtype or self._dense.numel() < elements:
            self._dense = torch.empty(elements, dtype=dtype, device=self.partials.device)

    def dense(self, features: int, inputs: int, dtype: torch.dtype) -> Tensor:
        """A `[features, inputs]` weight to dequantize into, with any content."""
        self.reserve_dense(features * inputs, dtype)
        return self._dense[: features * inputs].view(features, inputs)


@cache
def workspace(device: torch.device) -> Workspace:
    """The buffers of `device`."""
    return Workspace(
        partials=torch.empty(PARTIAL_ELEMENTS, dtype=torch.float32, device=device),
        arrivals=torch.zeros(LARGEST_TILE_COUNT, dtype=torch.int32, device=device),
        _dense=torch.empty(0, dtype=torch.bfloat16, device=device),
    )
