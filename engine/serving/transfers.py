"""Small tensors between the host and the device, which nobody waits for, and rows in parts."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SLICE_LOGITS = 1 << 23
"""So many logits are looked at together: what is computed of them stays within 100 MB."""

HostNumbers = NDArray[np.int64] | NDArray[np.int32] | NDArray[np.float32] | NDArray[np.float64]


def to_device(values: Sequence[int] | HostNumbers, device: torch.device) -> Tensor:
    """A tensor of numbers on `device`, integers as int64 unless they have a type: it is there
    before whatever is launched next."""
    array = values if isinstance(values, np.ndarray) else np.array(values, dtype=np.int64)
    tensor = torch.from_numpy(array)
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def to_host(tensor: Tensor) -> Tensor:
    """A copy on the host that is complete once the device gets there; on a CPU, the tensor."""
    if tensor.device.type == "cpu":
        return tensor
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)


def slices(rows: int, vocabulary: int) -> Iterator[slice]:
    """Cut rows of logits into parts of a bounded size."""
    height = max(1, _SLICE_LOGITS // vocabulary)
    return (slice(first, min(first + height, rows)) for first in range(0, rows, height))
