"""Where the master copy of the weights stays: every switch of precision reads all of it."""

import torch

from ..shape.model_shape import ModelShape

HOST = torch.device("cpu")
DEVICE_SHARE = 0.25
"""The part of a device's memory that the master copy may take; the rest serves."""


def master_device(config: ModelShape, dtype: torch.dtype, device: torch.device) -> torch.device:
    """`device` where a master copy in `dtype` takes little of its memory, and the host elsewhere.

    From a device's own memory a model of 8 billion parameters is quantized in a fraction of a
    second, and at the checkpoint's own precision the layers *are* the master copy. From the host it
    crosses the bus at each switch, which takes seconds.
    """
    if device.type != "cuda":
        return HOST
    total_bytes = torch.cuda.get_device_properties(device).total_memory
    return device if fits_device(config.parameters * dtype.itemsize, total_bytes) else HOST


def fits_device(master_bytes: int, total_bytes: int) -> bool:
    """Whether a device of `total_bytes` has room for the master copy beside what it serves."""
    return master_bytes <= DEVICE_SHARE * total_bytes
