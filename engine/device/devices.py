"""Which device the engine runs on, and how this process uses it: threads, memory, waiting."""

import ctypes
import gc
import os

import torch

from ..probes.host import cpu_name
from ..probes.memory_limits import MemoryLimit, read_host_limits
from ..protocol.errors import BadInputError, DeviceUnavailableError
from ..text.cleaning import clean

_NO_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",
    "could not create a memory",
    # oneDNN compiles a product when it first meets its shape: the memory for the code is missing.
    "could not create a primitive",
    "Cannot allocate memory",
)
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEEP_BYTES = 1 << 30
_LARGEST_HEAP_BLOCK_BYTES = 32 * 2**20
"""The most that glibc accepts: blocks up to here come from the heap, not from the kernel."""


def resolve_device(name: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda` or `cuda:N` means on this machine.

    Raises `DeviceUnavailableError` where it is not there, `BadInputError` for another name.
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    kind, _, index = name.partition(":")
    if name == "cpu":
        return torch.device("cpu")
    if kind != "cuda" or (index and not index.isdecimal()):
        raise BadInputError(f"no device {clean(name)!r}: use auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise DeviceUnavailableError(
            "there is no usable NVIDIA GPU on this machine: use --device cpu, or see prodtop doctor"
        )
    number = int(index or 0)
    if number >= torch.cuda.device_count():
        raise DeviceUnavailableError(
            f"there is no GPU {number}: this machine has {torch.cuda.device_count()}"
        )
    return torch.device("cuda", number)


def device_name(device: torch.device) -> str:
    """The device as its maker calls it."""
    if device.type == "cuda":
        return clean(torch.cuda.get_device_name(device))
    return cpu_name() or "CPU"


def use_threads(threads: int | None) -> None:
    """Let torch's CPU kernels use `threads`, by default all cores of this process but one.

    The last core is for the screen, the probe and whatever else runs. Threads that have to share
    a core wait for each other at the end of every operation: with one other busy process, two
    threads on two cores serve 0.3 times as fast as without it, one thread as fast as ever.
    """
    torch.set_num_threads(threads or max(1, len(os.sched_getaffinity(0)) - 1))


def keep_freed_memory() -> bool:
    """Stop glibc from returning a step's temporaries to the kernel after every operation.

    Each would come back as fresh pages, every one a fault: with tensors of a megabyte that costs
    more than the arithmetic (sampling 32 rows of 4096 logits: 4.9 ms with, 0.9 ms without).
    Returns whether the C library took the settings; another one than glibc may not know them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    trimmed = mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)
    mapped = mallopt(_M_MMAP_THRESHOLD, _LARGEST_HEAP_BLOCK_BYTES)
    return bool(trimmed and mapped)


def release_unused(device: torch.device) -> None:
    """Give back what torch keeps in reserve on a GPU, and glibc of the host's, for others to have.

    What lies in cycles of objects (a graph and the runner whose step it is) is freed first.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    trim_heap()


def trim_heap() -> bool:
    """Give the heap's unused pages back to the kernel; whether the C library can.

    After much was freed at once, which `keep_freed_memory` holds on to: not after a step.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return False
    trim(0)
    return True


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` is how torch, oneDNN or Python say that an allocation failed.

    torch has an exception of its own for a GPU alone; on a CPU only the text tells.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)


def device_limits(device: torch.device) -> tuple[MemoryLimit, ...]:
    """What this process may still take of a GPU's memory, and of the host's where it is a CPU."""
    if device.type != "cuda":
        return read_host_limits()
    free, total = torch.cuda.mem_get_info(device)
    reserved = torch.cuda.memory_reserved(device)
    # What torch keeps in reserve serves the next allocation.
    reusable = reserved - torch.cuda.memory_allocated(device)
    limits = (MemoryLimit("the GPU's free memory", free + reusable),)
    share = torch.cuda.get_per_process_memory_fraction(device)
    if share >= 1:
        return limits
    left = max(0, int(share * total) - reserved) + reusable
    return (*limits, MemoryLimit("torch's share of the GPU's memory", left))


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all it was asked; a CPU already has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
