"""The limits of a GPU that decide how work is cut into programs, and how those are launched."""

from dataclasses import dataclass
from functools import cache

import torch
from triton.runtime import driver


@dataclass(frozen=True, slots=True)
class GpuLimits:
    """Multiprocessors, shared memory a program and what the hardware can do.

    `shared_bytes` is the shared memory that one program may have.

    `dependent_launch` says that a kernel may begin while the one before it ends, and ask the L2
    cache for bytes in bulk; `bulk_tensors`, that it has an engine which copies tiles of tensors to
    shared memory. All came with compute capability 9.0.
    """

    multiprocessors: int
    shared_bytes: int
    dependent_launch: bool
    bulk_tensors: bool

    def stages(self, wanted: int, stage_bytes: int, outside: int = 1) -> int:
        """Pipeline stages of a loop that fit, up to `wanted`.

        All but `outside` of them lie in shared memory, where each takes `stage_bytes`.
        """
        return min(wanted, outside + self.shared_bytes // stage_bytes)


HOPPER = GpuLimits(
    multiprocessors=132, shared_bytes=232_448, dependent_launch=True, bulk_tensors=True
)
"""An H100 or H200, with which the kernels were measured."""


def interpreted(device: torch.device) -> bool:
    """Whether Triton's interpreter runs the kernels: over tensors of a CPU.

    `meta` tensors stand for those of a GPU for which kernels are compiled and not run.
    """
    return device.type == "cpu"


def gpu_limits(device: torch.device) -> GpuLimits:
    """The limits of a GPU; for the interpreter those of a Hopper."""
    if interpreted(device):
        return HOPPER
    return _limits(driver.active.get_current_device() if device.index is None else device.index)


@cache
def _limits(index: int) -> GpuLimits:
    properties = driver.active.utils.get_device_properties(index)
    hopper_or_later = driver.active.get_device_capability(index) >= (9, 0)
    return GpuLimits(
        multiprocessors=properties["multiprocessor_count"],
        shared_bytes=properties["max_shared_mem"],
        dependent_launch=hopper_or_later,
        bulk_tensors=hopper_or_later,
    )


def largest_power_of_two(n: int) -> int:
    """The largest power of two up to `n`, as Triton asks of block sizes; 0 where there is none."""
    return 1 << n.bit_length() - 1 if n > 0 else 0
