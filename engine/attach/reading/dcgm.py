"""The GPUs of a server as NVIDIA's DCGM exporter tells them, where NVML is out of reach.

Names: NVIDIA/dcgm-exporter, `etc/default-counters.csv`. `DEV_GPU_UTIL` says that a kernel ran;
`PROF_DRAM_ACTIVE`, where it is exported, how much of the memory's time was used: that is preferred
for `memory_utilization`, since decoding waits for memory.
"""

import time
from collections.abc import Callable

from ...protocol import GpuSample, HostSample
from .exposition import Exposition, Labels

MIB = 2**20
MOST_GPUS = 256
"""Of an answer with more the first ones are told."""
MOST_VALUE = 2.0**53
"""Above this a float does not count in ones any more: no such figure is told."""
UUID, INDEX, HOST = ("UUID", "uuid"), ("gpu",), ("Hostname", "hostname")
NAME = ("modelName", "model_name")
INSTANCE, PROFILE = ("GPU_I_ID",), ("GPU_I_PROFILE",)
"""Of a part of a GPU (MIG), which has figures of its own."""
FIELDS = (
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_FB_FREE",
    "DCGM_FI_DEV_FB_RESERVED",
    "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
    "DCGM_FI_DEV_MEM_COPY_UTIL",
    "DCGM_FI_PROF_DRAM_ACTIVE",
    "DCGM_FI_DEV_POWER_USAGE",
    "DCGM_FI_DEV_GPU_TEMP",
    "DCGM_FI_DEV_SM_CLOCK",
    "DCGM_FI_DEV_MEM_CLOCK",
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
    "DCGM_FI_PROF_PCIE_RX_BYTES",
    "DCGM_FI_PROF_PCIE_TX_BYTES",
)


def dcgm_sample(
    body: bytes, at_s: float, wall: Callable[[], float] = time.time
) -> HostSample | None:
    """The GPUs of an exporter's answer as a sample of their machine, of which nothing else is
    known; `None` where it has none. Raises `ExpositionError`."""
    exposition = Exposition(body)
    values: dict[str, dict[str, float]] = {}
    labels: dict[str, Labels] = {}
    for field in FIELDS:
        for found, value in exposition.samples(field).items():
            key = _key(found)
            if key and 0 <= value < MOST_VALUE and (key in values or len(values) < MOST_GPUS):
                labels[key] = found
                values.setdefault(key, {})[field.removeprefix("DCGM_FI_")] = value
    if not values:
        return None
    gpus = [_gpu(key, values[key], labels[key]) for key in values]
    uses_dram = any("PROF_DRAM_ACTIVE" in each for each in values.values())
    return HostSample(
        at_s=at_s,
        wall_s=wall(),
        hostname=next((_label(each, HOST) for each in labels.values()), ""),
        cpu_count=None,
        cpu_utilization=None,
        memory_used_bytes=None,
        memory_total_bytes=None,
        gpus=sorted(gpus, key=lambda gpu: gpu.index),
        gpu_note=None if uses_dram else "DCGM: memory by copies, PROF_DRAM_ACTIVE is not exported",
    )


def without_gpus(reason: str, at_s: float, wall: Callable[[], float] = time.time) -> HostSample:
    """What is told while the exporter does not answer as it should: why there is no GPU."""
    return HostSample(
        at_s=at_s,
        wall_s=wall(),
        hostname="",
        cpu_count=None,
        cpu_utilization=None,
        memory_used_bytes=None,
        memory_total_bytes=None,
        gpu_note=f"DCGM exporter: {reason}",
    )


def _gpu(key: str, values: dict[str, float], labels: Labels) -> GpuSample:
    parts = [values.get(f"DEV_FB_{name}") for name in ("USED", "FREE", "RESERVED")]
    used, free, reserved = parts
    known = used is not None and free is not None
    total = (used or 0.0) + (free or 0.0) + (reserved or 0.0) if known else None
    busy = values.get("PROF_GR_ENGINE_ACTIVE", _hundredth(values.get("DEV_GPU_UTIL")))
    memory = values.get("PROF_DRAM_ACTIVE", _hundredth(values.get("DEV_MEM_COPY_UTIL")))
    energy_mj = values.get("DEV_TOTAL_ENERGY_CONSUMPTION")
    index = _label(labels, INDEX)
    return GpuSample(
        index=int(index) if index.isascii() and index.isdecimal() and len(index) < 7 else 0,
        uuid=key,
        name=f"{_label(labels, NAME)} {_label(labels, PROFILE)}".strip(),
        memory_used_bytes=None if used is None else int(used * MIB),
        memory_total_bytes=None if total is None else int(total * MIB),
        utilization=busy,
        memory_utilization=memory,
        power_w=values.get("DEV_POWER_USAGE"),
        temperature_c=values.get("DEV_GPU_TEMP"),
        sm_clock_mhz=_whole(values.get("DEV_SM_CLOCK")),
        memory_clock_mhz=_whole(values.get("DEV_MEM_CLOCK")),
        pcie_rx_bytes_s=values.get("PROF_PCIE_RX_BYTES"),
        pcie_tx_bytes_s=values.get("PROF_PCIE_TX_BYTES"),
        energy_j=None if energy_mj is None else energy_mj / 1e3,
    )


def _label(labels: Labels, names: tuple[str, ...]) -> str:
    return next((value for name, value in labels if name in names), "")


def _key(labels: Labels) -> str:
    """What tells a GPU from others, and a part of it from the whole; empty where nothing does."""
    whole, part = _label(labels, UUID) or _label(labels, INDEX), _label(labels, INSTANCE)
    return f"{whole}/{part}" if whole and part else whole


def _hundredth(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
