"""Which device the engine runs on, what it is called, and how fast it can be at best."""

import gc
import os
import time
from collections.abc import Callable

import torch

from ..probes.host import cpu_name
from ..protocol.errors import BadInputError, DeviceUnavailableError
from ..text.cleaning import clean

_LEAST_RUNS = 4
_CPU_TRIAL_S = 0.2


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


def measure_copy_bandwidth(device: torch.device) -> float:
    """Bytes per second of a large copy on the device, read plus written: the memory's ceiling."""
    bytes_per_s = _copy_bandwidth(device)
    release_unused(device)
    return bytes_per_s


def measure_matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOPs per second of a large square matmul at `dtype`: the arithmetic's ceiling."""
    flops_per_s = _matmul_peak(device, dtype)
    release_unused(device)
    return flops_per_s


def _copy_bandwidth(device: torch.device) -> float:
    source = torch.empty(_copied_bytes(device), dtype=torch.uint8, device=device)
    source.fill_(1)
    target = torch.empty_like(source)
    return 2 * source.numel() / _fastest_s(lambda: target.copy_(source), device)


def _matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    size = 8192 if device.type == "cuda" else 1024
    # Random values: a product of zeros draws less power, and runs faster than real ones.
    left = torch.randn(size, size, device=device).to(dtype)
    right = torch.randn(size, size, device=device).to(dtype)
    if dtype is torch.float8_e4m3fn:
        one = torch.ones((), device=device)
        seconds = _fastest_s(
            lambda: torch._scaled_mm(left, right.t(), one, one, out_dtype=torch.bfloat16), device
        )
    else:
        seconds = _fastest_s(lambda: left @ right, device)
    return 2 * size**3 / seconds


def _copied_bytes(device: torch.device) -> int:
    """Far more than the caches hold."""
    return 1 << 30 if device.type == "cuda" else 1 << 27


def _fastest_s(work: Callable[[], object], device: torch.device) -> float:
    """The fastest of a few runs. A CPU that others use as well is tried for longer."""
    until_s = time.perf_counter() + (_CPU_TRIAL_S if device.type == "cpu" else 0.0)
    times: list[float] = []
    while len(times) < _LEAST_RUNS or time.perf_counter() < until_s:
        synchronize(device)
        begun = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - begun)
    return min(times)


def release_unused(device: torch.device) -> None:
    """Give back what torch keeps in reserve on a GPU, so that others can have it.

    What lies in cycles of objects (a graph and the runner whose step it is) is freed first.
    """
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all it was asked; a CPU already has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
