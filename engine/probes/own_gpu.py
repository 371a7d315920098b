"""The GPU that this process uses, asked of the driver rather than of torch."""

import os
from collections.abc import Callable

from .nvml_api import Handle, Nvml


class OwnGpu:
    """What this process holds on one GPU, and the GPU's energy. `uuid` is NVML's name for it.

    Make it before the process first uses the GPU. Where NVML lists the process, that is the answer
    to how much it holds. In a container it often does not: then it is torch's reserve plus what
    the CUDA context took, measured as the growth of the device's used memory between construction
    and `context_created`; that is right if nobody else's share changed in between.
    """

    def __init__(self, load: Callable[[], Nvml], uuid: str) -> None:
        self._nvml: Nvml | None = None
        self._handle: Handle = None
        self._context_bytes: int | None = None
        try:
            nvml = load()
        except ImportError:
            return
        try:
            nvml.nvmlInit()
            self._handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
            self._used_before = self._device_used(nvml)
        except nvml.NVMLError:
            return
        self._nvml = nvml

    def context_created(self, reserved_bytes: int) -> None:
        """Call once the CUDA context exists and torch has reserved `reserved_bytes`."""
        if self._nvml is None:
            return
        try:
            grown = self._device_used(self._nvml) - self._used_before
        except self._nvml.NVMLError:
            return
        self._context_bytes = max(0, grown - reserved_bytes)

    def held_bytes(self, reserved_bytes: int) -> int | None:
        """Bytes held now, while torch reserves `reserved_bytes`; `None` where nobody can say."""
        if self._nvml is None:
            return None
        try:
            processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        except self._nvml.NVMLError:
            processes = []
        own = [process.usedGpuMemory for process in processes if process.pid == os.getpid()]
        if own and own[0] is not None:
            return own[0]
        return None if self._context_bytes is None else reserved_bytes + self._context_bytes

    def energy_j(self) -> float | None:
        """Joules since the driver was loaded, or `None` without a counter."""
        if self._nvml is None:
            return None
        try:
            return self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) / 1e3
        except self._nvml.NVMLError:
            return None

    def _device_used(self, nvml: Nvml) -> int:
        return nvml.nvmlDeviceGetMemoryInfo(self._handle, nvml.nvmlMemory_v2).used
