"""Asking NVML for one thing: whatever goes wrong is lost alone, and replies are checked.

The wrapper raises more than its own errors: a name that is no UTF-8 raises `UnicodeDecodeError`, a
function that it does not have yet `AttributeError`, an argument that it has not yet `TypeError`, a
library that does not load `OSError`, and a structure of another driver gives figures that are none.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from operator import index
from typing import TypeVar

from ..text.cleaning import clean
from .nvml_api import Handle, Nvml, RunningProcess

_TOO_LARGE = 1 << 63
"""NVML_VALUE_NOT_AVAILABLE (nvml.h) has all 64 bits set."""

Reply = TypeVar("Reply")


class GpuLostError(Exception):
    """A GPU fell off the bus or needs a reset: it must not be asked again."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no reply."""

    error: Exception

    @property
    def reason(self) -> str:
        """The error in words, on one line."""
        said = ask(lambda: clean(str(self.error)).strip())
        return said if isinstance(said, str) and said else type(self.error).__name__


def ask(query: Callable[[], Reply]) -> Reply | Refusal:
    """The reply to a query, or the error that it raised, of whatever type."""
    try:
        return query()
    except Exception as error:  # noqa: BLE001 - any error costs its own figure alone, see above
        return Refusal(error)


def field(nvml: Nvml, query: Callable[[], Reply]) -> Reply | None:
    """The reply to a query about one GPU, or `None` where there is none.

    Raises `GpuLostError` where the GPU is gone.
    """
    reply = ask(query)
    if not isinstance(reply, Refusal):
        return reply
    if isinstance(reply.error, nvml.NVMLError_GpuIsLost | nvml.NVMLError_ResetRequired):
        raise GpuLostError(reply.reason)
    return None


def whole(value: object) -> int:
    """`value` as a count that is not negative.

    Raises TypeError or ValueError for what is none, such as NVML's "not available".
    """
    number = index(value)  # type: ignore[arg-type]  # it raises the TypeError
    if not 0 <= number < _TOO_LARGE:
        raise ValueError(f"{number} is no count")
    return number


def number(value: object) -> float:
    """`value` as a finite number. Raises TypeError or ValueError for what is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def text(query: Callable[[], str | bytes]) -> str:
    """A name, with U+FFFD for bytes that are no UTF-8; empty where there is none."""
    reply = ask(query)
    if isinstance(reply, Refusal):
        if not isinstance(reply.error, UnicodeDecodeError):
            return ""
        reply = reply.error.object
    if isinstance(reply, bytes):
        reply = reply.decode(errors="replace")
    return clean(reply.encode(errors="replace").decode()) if isinstance(reply, str) else ""


def memory_used_and_total(nvml: Nvml, handle: Handle) -> tuple[int | None, int | None]:
    """Used and total bytes of a GPU, each `None` where it is refused.

    Version 2 leaves out what the driver reserves, as `nvidia-smi` does. A total of 0 is that of a
    GPU without a memory of its own. Raises `GpuLostError` where the GPU is gone.
    """
    info = field(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle, nvml.nvmlMemory_v2))
    if info is None:
        info = field(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    if info is None:
        return None, None
    total = field(nvml, lambda: whole(info.total))
    return None if total == 0 else field(nvml, lambda: whole(info.used)), total or None


def process_bytes(nvml: Nvml, handle: Handle, pids: Collection[int]) -> int | None:
    """Bytes that NVML says `pids` hold on a GPU, if it says so, in all of its MIG instances.

    In a container NVML may list the host's process ids, or none at all. Then no entry is known to
    be the one that is wanted, not even a single one: it may be a neighbour's. Raises `GpuLostError`
    where the GPU is gone.
    """
    processes = field(nvml, lambda: list(nvml.nvmlDeviceGetComputeRunningProcesses(handle))) or []
    sizes = [field(nvml, partial(_size_if_of, process, pids)) for process in processes]
    listed = [size for size in sizes if size is not None]
    return sum(listed) if listed else None


def _size_if_of(process: RunningProcess, pids: Collection[int]) -> int | None:
    return whole(process.usedGpuMemory) if process.pid in pids else None
