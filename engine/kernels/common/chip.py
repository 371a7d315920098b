"""Of a GPU, what decides how work is cut into programs, and how those are launched."""

from dataclasses import dataclass
from functools import cache

import torch
from triton.runtime import driver


@dataclass(frozen=True, slots=True)
class Chip:
    """`shared_bytes` is the shared memory that one program may have.

    `dependent_launch` says that a kernel may begin while the one before it ends, and ask the L2
    cache for bytes in bulk; `bulk_tensors`, that it has an engine which copies tiles of tensors to
    shared memory. All came with compute capability 9.0.
    """

    multiprocessors: int
    shared_bytes: int
    dependent_launch: bool
    bulk_tensors: bool

    def stages(self, wanted: int, stage_bytes: int, outside: int = 1) -> int:
        """How many stages of a loop fit, up to `wanted`: `outside` more than in shared memory."""
        return min(wanted, outside + self.shared_bytes // stage_bytes)


HOPPER = Chip(multiprocessors=132, shared_bytes=232_448, dependent_launch=True, bulk_tensors=True)
"""An H100 or H200, with which the kernels were measured."""


def interpreted(device: torch.device) -> bool:
    """Whether kernels over a device's tensors are run by Triton's interpreter: over a CPU's.

    Tensors of no device (`meta`) are of a GPU for which kernels are compiled and not run.
    """
    return device.type == "cpu"


def chip_of(device: torch.device) -> Chip:
    """The chip of a GPU; the interpreter gets the plans for a Hopper."""
    if interpreted(device):
        return HOPPER
    return _chip(driver.active.get_current_device() if device.index is None else device.index)


@cache
def _chip(index: int) -> Chip:
    found = driver.active.utils.get_device_properties(index)
    hopper_or_later = driver.active.get_device_capability(index) >= (9, 0)
    return Chip(
        multiprocessors=found["multiprocessor_count"],
        shared_bytes=found["max_shared_mem"],
        dependent_launch=hopper_or_later,
        bulk_tensors=hopper_or_later,
    )
