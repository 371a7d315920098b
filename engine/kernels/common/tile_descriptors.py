"""Descriptors of matrices, for GPUs whose copy engine brings whole tiles to shared memory (TMA).

A descriptor says where a matrix lies and how large a tile is. One instruction then brings a tile,
with zeros past the ends of the matrix, where threads would compute an address for every 16 bytes.
Triton encodes it for the device at each launch; what is kept here is what it encodes.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import torch
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from .gpu_limits import interpreted

ALIGNMENT = 16
"""Bytes of which the address and the distance of two rows must be multiples."""


@dataclass(frozen=True, slots=True)
class Place:
    """All that a launch asks of a descriptor's tensor.

    A descriptor that is kept must not keep its weight in memory. Another weight that takes its
    address, shape and dtype has the same descriptor.
    """

    address: int
    dtype: torch.dtype

    def data_ptr(self) -> int:
        """The name by which Triton asks for an address."""
        return self.address


def is_described(address: int, strides: tuple[int, ...], itemsize: int) -> bool:
    """Whether rows lie as the copy engine can find them: `strides` in elements of `itemsize`."""
    *_, row, element = strides
    return element == 1 and (address | row * itemsize) % ALIGNMENT == 0


def tile_descriptor(tensor: Tensor, tile_rows: int, tile_columns: int) -> TensorDescriptor | None:
    """Of `tensor [rows, columns]`, or contiguous `[blocks, rows, columns]` as one run of rows.

    `None` if its rows do not lie so (`is_described`).
    """
    tile = tile_rows, tile_columns
    if interpreted(tensor.device):  # the interpreter asks for the tensor itself
        return _described(tensor, tensor.shape, tensor.stride(), tile)
    return _cached(tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride(), tile)


# A prefill step launches from the host: to find one takes a third of the time to make it. A step
# asks for one or two for each weight.
@lru_cache(maxsize=4096)
def _cached(
    address: int,
    dtype: torch.dtype,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    tile: tuple[int, int],
) -> TensorDescriptor | None:
    return _described(Place(address, dtype), shape, strides, tile)


def _described(
    base: Tensor | Place, shape: tuple[int, ...], strides: tuple[int, ...], tile: tuple[int, int]
) -> TensorDescriptor | None:
    if not is_described(base.data_ptr(), strides, base.dtype.itemsize):
        return None
    *leading, columns = shape
    return TensorDescriptor(base, [prod(leading), columns], [*strides[-2:]], [*tile])
