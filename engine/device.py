"""Which device the engine runs on, what it is called, and how fast it can be at best."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from .errors import BadInputError, DeviceUnavailableError
from .text import clean

_CPU_INFO = Path("/proc/cpuinfo")


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
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return clean(value.strip())
    return "CPU"


def use_threads(threads: int | None) -> None:
    """Let torch's CPU kernels use `threads`, by default one a core that this process may use."""
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What the device reached in a short test: the ends of the roofline.

    `copy_bytes_per_s` counts bytes read plus written.
    """

    copy_bytes_per_s: float
    matmul_flops_per_s: float


@cache
def measure_ceilings(device: torch.device, dtype: torch.dtype) -> Ceilings:
    """Measure copy bandwidth and the matmul peak at `dtype`; takes some tens of milliseconds."""
    large = device.type == "cuda"
    source = torch.empty((1 << 30) if large else (1 << 26), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    source.fill_(1)
    copied_s = _fastest_s(lambda: target.copy_(source), device)
    size = 8192 if large else 1024
    # Random values: a product of zeros draws less power, and runs faster than real ones.
    left = torch.randn(size, size, device=device).to(dtype)
    right = torch.randn(size, size, device=device).to(dtype)
    multiplied_s = _fastest_s(lambda: left @ right, device)
    return Ceilings(2 * source.numel() / copied_s, 2 * size**3 / multiplied_s)


def _fastest_s(work: Callable[[], object], device: torch.device, repeats: int = 4) -> float:
    times: list[float] = []
    for _ in range(repeats):
        synchronize(device)
        begun = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - begun)
    return min(times)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all it was asked; a CPU already has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
