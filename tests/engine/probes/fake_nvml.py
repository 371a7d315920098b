"""A driver without a GPU: answers as NVML does, refuses and loses GPUs on demand."""
# The names are NVIDIA's.
# ruff: noqa: N802, N815

from dataclasses import dataclass, field

from prodtop.engine.probes.nvml_api import Handle

GIB = 2**30


class FakeError(Exception):
    """NVML's error."""


class FakeGpuLostError(FakeError):
    """A GPU fell off the bus."""


class FakeResetRequiredError(FakeError):
    """A GPU waits for a reset."""


@dataclass
class FakeMemory:
    total: int
    used: int


@dataclass
class FakeRates:
    gpu: int
    memory: int


@dataclass
class FakeProcess:
    pid: int
    usedGpuMemory: int | None


@dataclass
class FakeNvml:
    """A driver with `count` GPUs; a GPU's handle is its index.

    `fails` maps the name of a call to the error that it raises, `lost` holds the GPUs that every
    call about them fails for.
    """

    count: int = 1
    fails: dict[str, Exception] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    processes: list[FakeProcess] = field(default_factory=list)
    reasons: int = 0
    mig: dict[str, int] = field(default_factory=dict)
    """The card of each MIG instance; an instance's handle is its UUID."""
    calls: list[tuple[str, Handle]] = field(default_factory=list)

    NVMLError: type[Exception] = FakeError
    NVMLError_GpuIsLost: type[Exception] = FakeGpuLostError
    NVMLError_ResetRequired: type[Exception] = FakeResetRequiredError
    nvmlMemory_v2: int = 2
    NVML_TEMPERATURE_GPU: int = 0
    NVML_CLOCK_SM: int = 1
    NVML_CLOCK_MEM: int = 2
    NVML_PCIE_UTIL_TX_BYTES: int = 0
    NVML_PCIE_UTIL_RX_BYTES: int = 1

    def _called(self, name: str, handle: Handle = None) -> None:
        self.calls.append((name, handle))
        if name in self.fails:
            raise self.fails[name]
        if handle in self.lost:
            raise FakeGpuLostError("GPU is lost")

    def nvmlInit(self) -> None:
        self._called("init")

    def nvmlShutdown(self) -> None:
        self._called("shutdown")

    def nvmlSystemGetDriverVersion(self) -> str:
        self._called("driver")
        return "580.1"

    def nvmlDeviceGetCount(self) -> int:
        self._called("count")
        return self.count

    def nvmlDeviceGetHandleByIndex(self, index: int, /) -> Handle:
        self._called("handle", index)
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str, /) -> Handle:
        self._called("handle by uuid")
        if uuid in self.mig:
            return uuid
        if uuid not in {f"GPU-{index}" for index in range(self.count)}:
            raise FakeError("Not Found")
        return int(uuid.removeprefix("GPU-"))

    def nvmlDeviceIsMigDeviceHandle(self, handle: Handle, /) -> int:
        self._called("is mig", handle)
        return int(isinstance(handle, str))

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: Handle, /) -> Handle:
        self._called("card of mig", handle)
        return self.mig[str(handle)]

    def nvmlDeviceGetName(self, handle: Handle, /) -> str:
        self._called("name", handle)
        return "NVIDIA\x1b[2J Fake"

    def nvmlDeviceGetUUID(self, handle: Handle, /) -> str:
        self._called("uuid", handle)
        return f"GPU-{handle}"

    def nvmlDeviceGetMemoryInfo(self, handle: Handle, /, version: int | None = None) -> FakeMemory:
        """Version 1 counts what the driver reserves as used, as the real one does."""
        self._called(f"memory v{version or 1}", handle)
        return FakeMemory(total=80 * GIB, used=20 * GIB if version else 21 * GIB)

    def nvmlDeviceGetUtilizationRates(self, handle: Handle, /) -> FakeRates:
        self._called("utilization", handle)
        return FakeRates(gpu=40, memory=25)

    def nvmlDeviceGetPowerUsage(self, handle: Handle, /) -> int:
        self._called("power", handle)
        return 312_500

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Handle, /) -> int:
        self._called("limit", handle)
        return 700_000

    def nvmlDeviceGetTemperature(self, handle: Handle, sensor: int, /) -> int:
        self._called("temperature", handle)
        return 61

    def nvmlDeviceGetClockInfo(self, handle: Handle, clock: int, /) -> int:
        self._called(f"clock {clock}", handle)
        return {self.NVML_CLOCK_SM: 1980, self.NVML_CLOCK_MEM: 2619}[clock]

    def nvmlDeviceGetPcieThroughput(self, handle: Handle, counter: int, /) -> int:
        self._called(f"pcie {counter}", handle)
        return {self.NVML_PCIE_UTIL_TX_BYTES: 500, self.NVML_PCIE_UTIL_RX_BYTES: 2000}[counter]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Handle, /) -> int:
        self._called("energy", handle)
        if not isinstance(handle, int):
            raise FakeError("Not Supported")
        return 9_000_500 + 1_000 * handle

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Handle, /) -> int:
        self._called("reasons", handle)
        return self.reasons

    def nvmlDeviceGetComputeRunningProcesses(self, handle: Handle, /) -> list[FakeProcess]:
        self._called("processes", handle)
        return self.processes
