"""The GPUs as NVML sees them. Each query may be refused by itself: what is refused is `None`."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..protocol import GpuSample
from .nvml_api import Handle, Nvml
from .nvml_query import (
    GpuLostError,
    Refusal,
    ask,
    field,
    memory_used_and_total,
    number,
    process_bytes,
    text,
    whole,
)

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
    answered: bool = False
    """It had a figure to give in the round before."""


class GpuProbe:
    """Reads all GPUs of the machine. Reopens NVML by itself after it, or a GPU of it, was lost.

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
        self._seen: dict[str, str] = {}
        """The name of every GPU that was ever listed, by its UUID."""
        self._lost: dict[int, str] = {}
        self._gone: list[str] = []
        self._unavailable: str | None = None
        self._driver_version: str | None = None
        self._reopen_at_s: float | None = clock()
        self._pcie_turn = 0

    def read(self, watched_pids: Collection[int] = ()) -> GpuReading:
        """Sample every GPU. `watched_pids` are the processes whose memory is wanted."""
        if self._reopen_at_s is not None and self._clock() >= self._reopen_at_s:
            self._reopen()
        nvml, samples = self._nvml, list[GpuSample]()
        if nvml is not None:
            self._read_pcie_of_one(nvml)
            for gpu in list(self._gpus):
                try:
                    sample = _read_gpu(nvml, gpu, watched_pids)
                except GpuLostError as error:
                    self._lose(gpu.index, str(error))
                    continue
                samples.append(sample)
                answers = _has_figures(sample)
                if gpu.answered and not answers:
                    # NVML need not say of a card that was pulled out that it is lost.
                    self._reopen_at_s = self._clock() + REOPEN_AFTER_S
                gpu.answered = answers
        return GpuReading(samples, self._note(), self._driver_version)

    def close(self) -> None:
        """Let go of NVML."""
        nvml = self._nvml
        if nvml is not None:
            ask(lambda: nvml.nvmlShutdown())
        self._nvml = self._driver_version = None
        self._gpus.clear()
        self._lost.clear()
        self._gone.clear()

    def _note(self) -> str | None:
        if self._unavailable is not None:
            return f"no NVIDIA GPU: {self._unavailable}"
        lost = [f"GPU {index}: {why}" for index, why in sorted(self._lost.items())]
        gone = [f"{name or 'a GPU'} is gone" for name in self._gone]
        return "; ".join(lost + gone) or None

    def _reopen(self) -> None:
        self.close()
        self._reopen_at_s = self._unavailable = None
        nvml = ask(self._load)
        if isinstance(nvml, Refusal):
            missing = isinstance(nvml.error, ImportError)
            self._give_up("the package nvidia-ml-py is not installed" if missing else nvml.reason)
            return
        opened = ask(lambda: nvml.nvmlInit())
        if isinstance(opened, Refusal):
            self._give_up(opened.reason)
            return
        self._nvml = nvml
        self._driver_version = text(lambda: nvml.nvmlSystemGetDriverVersion()) or None
        count = ask(lambda: whole(nvml.nvmlDeviceGetCount()))
        if isinstance(count, Refusal):
            self._give_up(count.reason)
            return
        self._identify_all(nvml, count)

    def _identify_all(self, nvml: Nvml, count: int) -> None:
        for index in range(count):
            gpu = _identify(nvml, index)
            if isinstance(gpu, Refusal):
                self._lose(index, gpu.reason)
            else:
                self._gpus.append(gpu)
        listed = {gpu.uuid: gpu.name for gpu in self._gpus if gpu.uuid}
        if not self._lost and self._seen.keys() - listed.keys():
            # NVML lists a card that came back only to who opens it anew.
            self._gone = [name for uuid, name in self._seen.items() if uuid not in listed]
            self._reopen_at_s = self._clock() + REOPEN_AFTER_S
        self._seen |= listed
        if count == 0:
            self._give_up("the driver lists none")

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
            gpu.pcie_rx_bytes_s = field(
                nvml, lambda: _pcie(nvml, gpu.handle, nvml.NVML_PCIE_UTIL_RX_BYTES)
            )
            gpu.pcie_tx_bytes_s = field(
                nvml, lambda: _pcie(nvml, gpu.handle, nvml.NVML_PCIE_UTIL_TX_BYTES)
            )
        except GpuLostError as error:
            self._lose(gpu.index, str(error))


def _identify(nvml: Nvml, index: int) -> _Gpu | Refusal:
    handle = ask(lambda: nvml.nvmlDeviceGetHandleByIndex(index))
    if isinstance(handle, Refusal):
        return handle
    return _Gpu(
        index=index,
        handle=handle,
        uuid=text(lambda: nvml.nvmlDeviceGetUUID(handle)),
        name=text(lambda: nvml.nvmlDeviceGetName(handle)),
    )


def _read_gpu(nvml: Nvml, gpu: _Gpu, watched_pids: Collection[int]) -> GpuSample:
    handle = gpu.handle
    used, total = memory_used_and_total(nvml, handle)
    rates = field(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
    return GpuSample(
        index=gpu.index,
        uuid=gpu.uuid,
        name=gpu.name,
        memory_used_bytes=used,
        memory_total_bytes=total,
        process_bytes=process_bytes(nvml, handle, watched_pids) if watched_pids else None,
        utilization=None if rates is None else field(nvml, lambda: _fraction(rates.gpu)),
        memory_utilization=None if rates is None else field(nvml, lambda: _fraction(rates.memory)),
        power_w=field(nvml, lambda: _thousandth(nvml.nvmlDeviceGetPowerUsage(handle))),
        power_limit_w=field(
            nvml, lambda: _thousandth(nvml.nvmlDeviceGetEnforcedPowerLimit(handle))
        ),
        temperature_c=field(
            nvml,
            lambda: number(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
        ),
        sm_clock_mhz=field(
            nvml, lambda: whole(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))
        ),
        memory_clock_mhz=field(
            nvml, lambda: whole(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM))
        ),
        pcie_rx_bytes_s=gpu.pcie_rx_bytes_s,
        pcie_tx_bytes_s=gpu.pcie_tx_bytes_s,
        energy_j=field(nvml, lambda: _thousandth(nvml.nvmlDeviceGetTotalEnergyConsumption(handle))),
        throttle=field(
            nvml, lambda: throttle_in_words(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
        ),
    )


def _has_figures(sample: GpuSample) -> bool:
    """Whether a card told anything of itself; PCIe is remembered from rounds before."""
    return any(
        figure is not None
        for figure in (
            sample.memory_used_bytes,
            sample.memory_total_bytes,
            sample.utilization,
            sample.power_w,
            sample.power_limit_w,
            sample.temperature_c,
            sample.sm_clock_mhz,
            sample.memory_clock_mhz,
            sample.energy_j,
        )
    )


def _pcie(nvml: Nvml, handle: Handle, counter: int) -> float:
    return whole(nvml.nvmlDeviceGetPcieThroughput(handle, counter)) * 1000.0


def throttle_in_words(reasons: int) -> str | None:
    """NVML's bit mask as words; `None` where nothing holds the clocks down."""
    words = [word for bit, word in THROTTLE_REASONS.items() if reasons & bit]
    return ", ".join(words) or None


def _thousandth(value: int) -> float:
    return whole(value) / 1000


def _fraction(percent: int) -> float:
    """Raises ValueError for what is more than all: it is no share of time."""
    if whole(percent) > 100:
        raise ValueError(f"{percent} is no per cent")
    return percent / 100
