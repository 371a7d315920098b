"""The device's ceilings, measured once and kept: what its memory and its arithmetic can reach.

A ceiling does not change while device, torch and threads stay as they are, and measuring it takes
time at every start and stops a step when a precision is switched to. What was measured while
something else used the device is too low: a later start measures anew, and keeps the highest.
"""

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
import torch

from ..files.paths import data_dir
from .device_file import DeviceFile
from .devices import device_name, release_unused, synchronize

LONGEST_KEPT_S = 3600.0
"""A start takes over what is younger than this. While the process lives it stays as it is."""
_COPY = "copy"
_LEAST_RUNS = 4
_CPU_TRIAL_S = 0.2


class Ceiling(msgspec.Struct, frozen=True):
    """A ceiling in bytes or FLOPs per second, and when it was measured (seconds since 1970)."""

    per_s: Annotated[float, msgspec.Meta(gt=0, lt=1e21)]
    wall_s: float


_DECODER = msgspec.json.Decoder(dict[str, dict[str, Ceiling]])


class Ceilings:
    """The ceilings of one device, in memory and in a file that every start of prodtop shares."""

    def __init__(self, device: torch.device, path: Path | None = None) -> None:
        self._device = device
        self._file = DeviceFile(path or data_dir() / "ceilings.json", _DECODER)
        self._owner = ", ".join(_identity(device))
        self._measured = self._file.read(self._owner)
        self._checked: set[str] = set()
        """The ceilings that this process has measured, or found young enough in the file."""

    def copy_bytes_per_s(self) -> float:
        """Bytes per second, read plus written, of a large copy."""
        return self._get(_COPY, lambda: measure_copy_bandwidth(self._device))

    def matmul_flops_per_s(self, dtype: torch.dtype) -> float:
        """FLOPs per second of a large matmul at `dtype`."""
        name = str(dtype).removeprefix("torch.")
        return self._get(name, lambda: measure_matmul_peak(self._device, dtype))

    def _get(self, name: str, measure: Callable[[], float]) -> float:
        ceiling = self._measured.get(name)
        # One from the future was kept before the wall clock was set back: its age is not known.
        old = ceiling is None or not 0 <= time.time() - ceiling.wall_s <= LONGEST_KEPT_S
        if ceiling is None or (old and name not in self._checked):
            highest = max(measure(), ceiling.per_s if ceiling else 0.0)
            release_unused(self._device)
            ceiling = self._measured[name] = Ceiling(highest, time.time())
            # Where it cannot be written, the next start measures.
            self._file.write(self._owner, self._measured)
        self._checked.add(name)
        return ceiling.per_s


@cache
def ceilings(device: torch.device) -> Ceilings:
    """The ceilings of `device`, for as long as this process lives."""
    return Ceilings(device)


def _identity(device: torch.device) -> tuple[str, ...]:
    """What the ceilings depend on."""
    threads = (f"{torch.get_num_threads()} threads",) if device.type == "cpu" else ()
    return (device_name(device), f"torch {torch.__version__}", *threads)


def measure_copy_bandwidth(device: torch.device) -> float:
    """Bytes per second of a large copy on the device, read plus written: the memory's ceiling."""
    source = torch.empty(_copied_bytes(device), dtype=torch.uint8, device=device)
    source.fill_(1)
    target = torch.empty_like(source)
    return 2 * source.numel() / _fastest_s(lambda: target.copy_(source), device)


def measure_matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOPs per second of a large square matmul at `dtype`: the arithmetic's ceiling."""
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
