"""The GPUs as NVML sees them. Each query may be refused by itself: what is refused is `None`."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from ..protocol import GpuSample
from ..text.cleaning import clean
from .nvml_api import Handle, Nvml

REOPEN_AFTER_S = 10.0
"""How long after NVML failed, or a GPU was lost, all of it is opened anew."""

THROTTLE_REASONS = {
    0x004: "power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "hardware power brake",
}
"""NVML's clocks event reasons (nvml.h) that hold clocks down under load. Idling and clocks set by
the user are no throttling."""

Arguments = ParamSpec("Arguments")
Reply = TypeVar("Reply")


class GpuLostError(Exception):
    """A GPU fell off the bus or needs a reset: it must not be asked again."""


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One round of samples. `note` says what is missing, and why."""

    gpus: list[GpuSample]
    note: str | None
    driver_version: str | None


@dataclass(slots=True)
class _Gpu:
    index: int
    handle: Handle
    uuid: str
    name: str
    pcie_rx_bytes_s: float | None = None
    pcie_tx_bytes_s: float | None = None


class GpuProbe:
    """Reads all GPUs of the machine. Reopens NVML by itself after it was lost.

    `load` imports the `pynvml` module, and raises `ImportError` where there is none. `clock` is
    monotonic, in seconds.
    """

    def __init__(
        self, load: Callable[[], Nvml], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._load = load
        self._clock = clock
        self._nvml: Nvml | None = None
        self._gpus: list[_Gpu] = []
        self._lost: dict[int, str] = {}
        self._unavailable: str | None = None
        self._driver_version: str | None = None
        self._reopen_at_s: float | None = clock()
        self._pcie_turn = 0

    def read(self, watched_pid: int | None = None) -> GpuReading:
        """Sample every GPU. `watched_pid` is the process whose memory is wanted."""
        if self._reopen_at_s is not None and self._clock() >= self._reopen_at_s:
            self._reopen()
        nvml, samples = self._nvml, list[GpuSample]()
        if nvml is not None:
            self._read_pcie_of_one(nvml)
            for gpu in list(self._gpus):
                try:
                    samples.append(_read_gpu(nvml, gpu, watched_pid))
                except GpuLostError as error:
                    self._lose(gpu.index, str(error))
        return GpuReading(samples, self._note(), self._driver_version)

    def close(self) -> None:
        if self._nvml is not None:
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()
        self._nvml = self._driver_version = None
        self._gpus.clear()
        self._lost.clear()

    def _note(self) -> str | None:
        if self._unavailable is not None:
            return f"no NVIDIA GPU: {self._unavailable}"
        if self._lost:
            return "; ".join(f"GPU {index}: {why}" for index, why in sorted(self._lost.items()))
        return None

    def _reopen(self) -> None:
        self.close()
        self._reopen_at_s = self._unavailable = None
        try:
            nvml = self._load()
        except ImportError:
            self._give_up("the package nvidia-ml-py is not installed")
            return
        try:
            nvml.nvmlInit()
            self._nvml = nvml
            self._driver_version = nvml.nvmlSystemGetDriverVersion()
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError as error:
            self._give_up(_words(error))
            return
        self._identify_all(nvml, count)

    def _identify_all(self, nvml: Nvml, count: int) -> None:
        if count == 0:
            self._give_up("the driver lists none")
        for index in range(count):
            try:
                self._gpus.append(_identify(nvml, index))
            except nvml.NVMLError as error:
                self._lose(index, _words(error))

    def _give_up(self, reason: str) -> None:
        self._unavailable = reason
        self._reopen_at_s = self._clock() + REOPEN_AFTER_S

    def _lose(self, index: int, reason: str) -> None:
        """Leave a GPU alone until NVML is opened anew: asking a lost one can hang or crash."""
        self._gpus = [gpu for gpu in self._gpus if gpu.index != index]
        self._lost[index] = reason
        self._reopen_at_s = self._clock() + REOPEN_AFTER_S

    def _read_pcie_of_one(self, nvml: Nvml) -> None:
        """NVML measures PCIe for 20 ms in each direction, so one GPU has its turn a round."""
        if not self._gpus:
            return
        self._pcie_turn += 1
        gpu = self._gpus[self._pcie_turn % len(self._gpus)]
        try:
            gpu.pcie_rx_bytes_s = _pcie(nvml, gpu.handle, nvml.NVML_PCIE_UTIL_RX_BYTES)
            gpu.pcie_tx_bytes_s = _pcie(nvml, gpu.handle, nvml.NVML_PCIE_UTIL_TX_BYTES)
        except GpuLostError as error:
            self._lose(gpu.index, str(error))


def _identify(nvml: Nvml, index: int) -> _Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    return _Gpu(
        index=index,
        handle=handle,
        uuid=clean(nvml.nvmlDeviceGetUUID(handle)),
        name=clean(nvml.nvmlDeviceGetName(handle)),
    )


def _read_gpu(nvml: Nvml, gpu: _Gpu, watched_pid: int | None) -> GpuSample:
    handle = gpu.handle
    used, total = _memory(nvml, handle)
    rates = _ask(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
    reasons = _ask(nvml, nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    return GpuSample(
        index=gpu.index,
        uuid=gpu.uuid,
        name=gpu.name,
        memory_used_bytes=used,
        memory_total_bytes=total,
        process_bytes=_process_bytes(nvml, handle, watched_pid),
        utilization=None if rates is None else rates.gpu / 100,
        memory_utilization=None if rates is None else rates.memory / 100,
        power_w=_thousandth(_ask(nvml, nvml.nvmlDeviceGetPowerUsage, handle)),
        power_limit_w=_thousandth(_ask(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)),
        temperature_c=_ask(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
        sm_clock_mhz=_ask(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
        memory_clock_mhz=_ask(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_MEM),
        pcie_rx_bytes_s=gpu.pcie_rx_bytes_s,
        pcie_tx_bytes_s=gpu.pcie_tx_bytes_s,
        energy_j=_thousandth(_ask(nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, handle)),
        throttle=None if reasons is None else throttle_in_words(reasons),
    )


def _memory(nvml: Nvml, handle: Handle) -> tuple[int | None, int | None]:
    """Used and total bytes. Version 2 leaves out what the driver reserves, as `nvidia-smi` does."""
    info = _ask(nvml, nvml.nvmlDeviceGetMemoryInfo, handle, nvml.nvmlMemory_v2)
    if info is None:
        info = _ask(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    return (None, None) if info is None else (info.used, info.total)


def _process_bytes(nvml: Nvml, handle: Handle, pid: int | None) -> int | None:
    """Bytes that NVML says `pid` holds, if it says so.

    In a container NVML may list the host's process ids, or none at all. Then no entry is known to
    be the one that is wanted, not even a single one: it may be a neighbour's.
    """
    if pid is None:
        return None
    processes = _ask(nvml, nvml.nvmlDeviceGetComputeRunningProcesses, handle) or []
    sizes = [process.usedGpuMemory for process in processes if process.pid == pid]
    return sizes[0] if sizes else None


def _pcie(nvml: Nvml, handle: Handle, counter: int) -> float | None:
    kilobytes_s = _ask(nvml, nvml.nvmlDeviceGetPcieThroughput, handle, counter)
    return None if kilobytes_s is None else kilobytes_s * 1000.0


def throttle_in_words(reasons: int) -> str | None:
    """NVML's bit mask as words; `None` where nothing holds the clocks down."""
    words = [word for bit, word in THROTTLE_REASONS.items() if reasons & bit]
    return ", ".join(words) or None


def _ask(
    nvml: Nvml, query: Callable[Arguments, Reply], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Reply | None:
    """The reply to a query, or `None` where it is refused.

    Raises `GpuLostError` where the GPU is gone.
    """
    try:
        return query(*args, **kwargs)
    except (nvml.NVMLError_GpuIsLost, nvml.NVMLError_ResetRequired) as error:
        raise GpuLostError(_words(error)) from error
    except nvml.NVMLError:
        return None


def _thousandth(value: int | None) -> float | None:
    return None if value is None else value / 1000


def _words(error: Exception) -> str:
    return clean(str(error))
