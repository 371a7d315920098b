"""The device's ceilings, measured once and kept: what its memory and its arithmetic can reach.

A ceiling does not change while device, torch and threads stay as they are, and measuring it takes
time at every start and stops a step when a precision is switched to. What was found while something
else used the device is too low: a later start measures anew, and keeps the highest.
"""

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import torch

from ..files.paths import data_dir
from .device_file import DeviceFile
from .devices import device_name, measure_copy_bandwidth, measure_matmul_peak

LONGEST_KEPT_S = 3600.0
"""A start takes over what is younger than this. While the process lives it stays as it is."""
_COPY = "copy"


class Ceiling(msgspec.Struct, frozen=True):
    """A ceiling in bytes or FLOPs per second, and when it was measured (seconds since 1970)."""

    per_s: float
    wall_s: float


_DECODER = msgspec.json.Decoder(dict[str, dict[str, Ceiling]])


class Ceilings:
    """The ceilings of one device, in memory and in a file that every start of prodtop shares."""

    def __init__(self, device: torch.device, path: Path | None = None) -> None:
        self._device = device
        self._file = DeviceFile(path or data_dir() / "ceilings.json", _DECODER)
        self._owner = ", ".join(_identity(device))
        self._known = self._file.read(self._owner)
        self._settled: set[str] = set()

    def copy_bytes_per_s(self) -> float:
        """Bytes per second, read plus written, of a large copy."""
        return self._get(_COPY, lambda: measure_copy_bandwidth(self._device))

    def matmul_flops_per_s(self, dtype: torch.dtype) -> float:
        """FLOPs per second of a large matmul at `dtype`."""
        name = str(dtype).removeprefix("torch.")
        return self._get(name, lambda: measure_matmul_peak(self._device, dtype))

    def _get(self, name: str, measure: Callable[[], float]) -> float:
        kept = self._known.get(name)
        old = kept is None or time.time() - kept.wall_s > LONGEST_KEPT_S
        if kept is None or (old and name not in self._settled):
            highest = max(measure(), kept.per_s if kept else 0.0)
            kept = self._known[name] = Ceiling(highest, time.time())
            # Where it cannot be written, the next start measures.
            self._file.write(self._owner, self._known)
        self._settled.add(name)
        return kept.per_s


@cache
def ceilings(device: torch.device) -> Ceilings:
    """The ceilings of `device`, for as long as this process lives."""
    return Ceilings(device)


def _identity(device: torch.device) -> tuple[str, ...]:
    """What the ceilings depend on."""
    threads = (f"{torch.get_num_threads()} threads",) if device.type == "cpu" else ()
    return (device_name(device), f"torch {torch.__version__}", *threads)
