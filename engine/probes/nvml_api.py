"""The part of the `pynvml` module that the probe calls, as a type, and the module itself.

The module is untyped and needs a driver; this lets the probe be checked, and tested against a fake.
"""
# The names are NVIDIA's.
# ruff: noqa: N802, N815

from collections.abc import Sequence
from typing import Protocol

Handle = object
"""Opaque: NVML's pointer to one GPU."""


class MemoryInfo(Protocol):
    total: int
    used: int


class UtilizationRates(Protocol):
    """Percent."""

    gpu: int
    memory: int


class RunningProcess(Protocol):
    pid: int
    usedGpuMemory: int | None


class Nvml(Protocol):
    """Every call raises `NVMLError` where the driver, the card or the container refuses.

    And what else its wrapper may raise: ask through `nvml_query.py`.
    """

    NVMLError: type[Exception]
    NVMLError_GpuIsLost: type[Exception]
    NVMLError_ResetRequired: type[Exception]
    nvmlMemory_v2: int
    NVML_TEMPERATURE_GPU: int
    NVML_CLOCK_SM: int
    NVML_CLOCK_MEM: int
    NVML_PCIE_UTIL_TX_BYTES: int
    NVML_PCIE_UTIL_RX_BYTES: int

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlSystemGetDriverVersion(self) -> str: ...
    def nvmlDeviceGetCount(self) -> int: ...
    def nvmlDeviceGetHandleByIndex(self, index: int, /) -> Handle: ...
    def nvmlDeviceGetHandleByUUID(self, uuid: str, /) -> Handle: ...
    def nvmlDeviceIsMigDeviceHandle(self, handle: Handle, /) -> int: ...
    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: Handle, /) -> Handle: ...
    def nvmlDeviceGetName(self, handle: Handle, /) -> str: ...
    def nvmlDeviceGetUUID(self, handle: Handle, /) -> str: ...
    def nvmlDeviceGetMemoryInfo(
        self, handle: Handle, /, version: int | None = None
    ) -> MemoryInfo: ...
    def nvmlDeviceGetUtilizationRates(self, handle: Handle, /) -> UtilizationRates: ...
    def nvmlDeviceGetPowerUsage(self, handle: Handle, /) -> int:
        """Milliwatts."""
        ...

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Handle, /) -> int:
        """Milliwatts."""
        ...

    def nvmlDeviceGetTemperature(self, handle: Handle, sensor: int, /) -> int: ...
    def nvmlDeviceGetClockInfo(self, handle: Handle, clock: int, /) -> int:
        """MHz."""
        ...

    def nvmlDeviceGetPcieThroughput(self, handle: Handle, counter: int, /) -> int:
        """KB/s over the last 20 ms, which the call waits for."""
        ...

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Handle, /) -> int:
        """Millijoules since the driver was loaded."""
        ...

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Handle, /) -> int: ...
    def nvmlDeviceGetComputeRunningProcesses(
        self, handle: Handle, /
    ) -> Sequence[RunningProcess]: ...


def load_pynvml() -> Nvml:
    """Imported late: without a GPU, and with a broken driver, there is still a host to show."""
    import pynvml

    module: Nvml = pynvml
    return module
