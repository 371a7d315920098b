"""The machine as psutil sees it: its cores, its memory, and the engine's process on it."""

import math
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from ..protocol import HostSample
from ..text.cleaning import clean
from .nvml import GpuReading

FAMILY_EVERY_S = 5.0
"""Between two looks at the processes that the engine has started."""
CPU_INFO = Path("/proc/cpuinfo")


class HostProbe:
    """Samples the machine. CPU figures are over the time since the sample before.

    The first sample of a machine or a process has no such time: so a process's first is `None`, and
    the machine's counters are read once when the probe is made.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hostname = clean(socket.gethostname())
        self._cpu_name = cpu_name()
        self._cpu_count = psutil.cpu_count() or os.cpu_count() or 1
        self._worker: psutil.Process | None = None
        self._worker_primed = False
        self._family: frozenset[int] = frozenset()
        self._family_at_s = -math.inf
        psutil.cpu_percent(interval=None)

    @property
    def watched_pid(self) -> int | None:
        return None if self._worker is None else self._worker.pid

    def watched_pids(self) -> frozenset[int]:
        """The engine's process and those that it started: a server seldom holds the GPU itself."""
        if self._worker is None:
            return frozenset()
        now_s = self._clock()
        if now_s - self._family_at_s > FAMILY_EVERY_S:
            self._family_at_s = now_s
            try:
                children = self._worker.children(recursive=True)
            except psutil.Error:
                children = []
            self._family = frozenset({self._worker.pid, *(each.pid for each in children)})
        return self._family

    def watch(self, pid: int) -> None:
        """The engine's process is `pid` from now on."""
        self._family_at_s = -math.inf
        self._worker_primed = False
        try:
            self._worker = psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._worker = None

    def read(self, gpus: GpuReading) -> HostSample:
        """One sample, with what was read of the GPUs at the same moment."""
        memory = psutil.virtual_memory()
        worker_cpu, worker_rss = self._read_worker()
        return HostSample(
            at_s=self._clock(),
            wall_s=time.time(),
            hostname=self._hostname,
            cpu_name=self._cpu_name,
            cpu_count=self._cpu_count,
            cpu_utilization=psutil.cpu_percent(interval=None) / 100,
            memory_used_bytes=memory.total - memory.available,
            memory_total_bytes=memory.total,
            worker_cpu_utilization=worker_cpu,
            worker_rss_bytes=worker_rss,
            gpus=gpus.gpus,
            gpu_note=gpus.note,
            driver_version=gpus.driver_version,
        )

    def _read_worker(self) -> tuple[float | None, int | None]:
        """Cores in use and resident bytes of the watched process."""
        if self._worker is None:
            return None, None
        try:
            cpu_percent = self._worker.cpu_percent(interval=None)
            rss_bytes = self._worker.memory_info().rss
        except psutil.Error:
            self._worker = None
            return None, None
        primed, self._worker_primed = self._worker_primed, True
        return (cpu_percent / 100 if primed else None), rss_bytes


def cpu_name(cpu_info: Path = CPU_INFO) -> str:
    """The processor's name, empty where the system does not tell."""
    try:
        lines = cpu_info.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "Processor"):
            return clean(value.strip())
    return ""
