"""The machine as the probe process sees it."""

from .message import Message, Part

PROBE_INTERVAL_S = 0.25


class GpuSample(Part, frozen=True, kw_only=True):
    """One GPU as NVML sees it. A counter that the card or the container refuses is `None`."""

    index: int
    uuid: str
    name: str
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    process_bytes: int | None = None
    """What NVML says the engine's process holds."""
    utilization: float | None = None
    """Fraction of the last sample period with a kernel running."""
    memory_utilization: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    temperature_c: float | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    pcie_rx_bytes_s: float | None = None
    pcie_tx_bytes_s: float | None = None
    energy_j: float | None = None
    """NVML's counter since the driver was loaded."""
    throttle: str | None = None
    """Why the clocks are held down, when they are."""


class HostSample(Message, frozen=True, kw_only=True):
    """The machine at one moment. `gpu_note` says why there is no GPU to show, or which are lost."""

    at_s: float
    wall_s: float
    hostname: str
    cpu_count: int | None
    """This and the next three are `None` where only the machine's GPUs are known."""
    cpu_utilization: float | None
    """Fraction of all cores."""
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    cpu_name: str = ""
    worker_cpu_utilization: float | None = None
    """Cores in use by the engine's process (1.0 is one core)."""
    worker_rss_bytes: int | None = None
    gpus: list[GpuSample] = []
    gpu_note: str | None = None
    driver_version: str | None = None


class WatchProcess(Message, frozen=True, kw_only=True):
    """Screen to probe: the engine's process is this one now."""

    pid: int
