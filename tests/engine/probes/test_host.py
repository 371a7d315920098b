"""The machine and the engine's process on it, on this very machine."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from of_our_own import known
from prodtop.engine.probes.host import HostProbe, cpu_name
from prodtop.engine.probes.nvml import GpuReading

NO_GPU = GpuReading([], "no NVIDIA GPU: none", None)


def test_the_host_agrees_with_the_system() -> None:
    probe = HostProbe(clock=lambda: 42.0)
    sample = probe.read(NO_GPU)
    assert sample.at_s == 42.0
    assert sample.hostname == os.uname().nodename
    assert sample.cpu_count == psutil.cpu_count()
    assert sample.memory_total_bytes == psutil.virtual_memory().total
    assert 0 < known(sample.memory_used_bytes) < known(sample.memory_total_bytes)
    assert 0.0 <= known(sample.cpu_utilization) <= 1.0
    assert (sample.gpus, sample.gpu_note) == ([], NO_GPU.note)


def test_nothing_is_said_of_a_worker_before_there_is_one() -> None:
    sample = HostProbe().read(NO_GPU)
    assert (sample.worker_cpu_utilization, sample.worker_rss_bytes) == (None, None)


def test_a_workers_cpu_needs_two_samples() -> None:
    probe = HostProbe()
    probe.watch(os.getpid())
    assert probe.watched_pid == os.getpid()
    first = probe.read(NO_GPU)
    assert first.worker_cpu_utilization is None
    assert first.worker_rss_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    assert sum(number * number for number in range(200_000)) > 0
    second = probe.read(NO_GPU)
    assert second.worker_cpu_utilization is not None
    assert second.worker_cpu_utilization >= 0.0


def test_a_worker_that_ended_is_absent_and_another_can_be_watched() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        probe = HostProbe()
        probe.watch(process.pid)
        process.kill()
    assert probe.read(NO_GPU).worker_rss_bytes is None
    assert probe.watched_pid is None
    probe.watch(process.pid)
    assert probe.read(NO_GPU).worker_rss_bytes is None
    probe.watch(os.getpid())
    assert probe.read(NO_GPU).worker_rss_bytes is not None


def test_the_processors_name_is_cleaned(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Fast\x1b[2J GpuLimits\nmodel name\t: other\n")
    assert cpu_name(file) == "Fast[2J GpuLimits"
    assert cpu_name(tmp_path / "missing") == ""
