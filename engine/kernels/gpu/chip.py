"""How many multiprocessors a device has, which is what work is cut into programs by."""

from functools import cache

import torch

OF_A_LARGE_GPU = 132
"""An H100's and an H200's, with which the kernels were measured."""


@cache
def multiprocessors(device: torch.device) -> int:
    """Those of a GPU; without one a large GPU's, so that a test gets the plans that serve."""
    if device.type != "cuda":
        return OF_A_LARGE_GPU
    return int(torch.cuda.get_device_properties(device).multi_processor_count)
