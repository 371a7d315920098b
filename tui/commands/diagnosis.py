"""What `prodtop doctor` finds. Each part stands by itself: any of them may be missing."""

import os
import platform
import subprocess
import sys
from importlib import metadata

import msgspec
import psutil

from ...engine.files.paths import config_dir, data_dir, log_dir
from ...engine.probes.host import cpu_name
from ...engine.probes.nvml import GpuProbe
from ...engine.probes.nvml_api import load_pynvml
from ...engine.protocol import GpuSample
from ...engine.text.cleaning import clean

TORCH_TIMEOUT_S = 60.0
TORCH_QUESTION = """
import json, torch
cuda = torch.cuda.is_available()
print(json.dumps({
    "cuda": cuda,
    "cuda_version": torch.version.cuda,
    "cuda_devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if cuda else [],
    "threads": torch.get_num_threads(),
}))
"""


class ProdtopFacts(msgspec.Struct, frozen=True, kw_only=True):
    version: str | None
    python: str
    executable: str
    config_folder: str
    data_folder: str
    log_folder: str


class MachineFacts(msgspec.Struct, frozen=True, kw_only=True):
    system: str
    cpu: str
    cpu_count: int | None
    memory_gib: float


class GpuFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`note` says why a GPU is missing."""

    devices: list[str]
    driver: str | None
    nvml_package: str | None
    note: str | None


class TorchReport(msgspec.Struct, frozen=True, kw_only=True):
    """What torch says of itself, in a process of its own: here it would take seconds to import."""

    cuda: bool
    cuda_version: str | None
    cuda_devices: list[str]
    threads: int


class TorchFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`problem` says why torch could not be asked."""

    version: str | None
    triton: str | None
    cuda: bool | None
    cuda_version: str | None
    cuda_devices: list[str]
    threads: int | None
    problem: str | None


class TerminalFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`size` is columns × rows, `None` where the output is no terminal."""

    size: str | None
    kind: str | None
    colours: str
    unicode: bool
    tmux: bool
    ssh: bool


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    prodtop: ProdtopFacts
    machine: MachineFacts
    gpu: GpuFacts
    torch: TorchFacts
    terminal: TerminalFacts


def diagnose() -> Diagnosis:
    """Look at everything; nothing that is missing is an error."""
    return Diagnosis(
        prodtop=ProdtopFacts(
            version=package_version("prodtop"),
            python=platform.python_version(),
            executable=sys.executable,
            config_folder=str(config_dir()),
            data_folder=str(data_dir()),
            log_folder=str(log_dir()),
        ),
        machine=MachineFacts(
            system=platform.platform(terse=True),
            cpu=cpu_name(),
            cpu_count=psutil.cpu_count(),
            memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        ),
        gpu=gpu_facts(GpuProbe(load_pynvml)),
        torch=torch_facts(),
        terminal=terminal_facts(),
    )


def package_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def gpu_facts(probe: GpuProbe) -> GpuFacts:
    """What NVML says through `probe`, which is closed."""
    reading = probe.read()
    probe.close()
    return GpuFacts(
        devices=[_gpu_in_words(gpu) for gpu in reading.gpus],
        driver=reading.driver_version,
        nvml_package=package_version("nvidia-ml-py"),
        note=reading.note,
    )


def _gpu_in_words(gpu: GpuSample) -> str:
    if gpu.memory_total_bytes is None:
        return f"{gpu.index}: {gpu.name}"
    return f"{gpu.index}: {gpu.name}, {gpu.memory_total_bytes / 2**30:.1f} GiB"


def torch_facts() -> TorchFacts:
    """What torch says in a process of its own, or why it says nothing."""
    report, problem = _ask_torch()
    return TorchFacts(
        version=package_version("torch"),
        triton=package_version("triton"),
        cuda=None if report is None else report.cuda,
        cuda_version=None if report is None else report.cuda_version,
        cuda_devices=[] if report is None else [clean(name) for name in report.cuda_devices],
        threads=None if report is None else report.threads,
        problem=problem,
    )


def _ask_torch() -> tuple[TorchReport | None, str | None]:
    """What torch says, or what is wrong with it."""
    if package_version("torch") is None:
        return None, "torch is not installed: install prodtop with its dependencies"
    try:
        asked = subprocess.run(
            [sys.executable, "-P", "-c", TORCH_QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TORCH_TIMEOUT_S,
            check=True,
        )
        return msgspec.json.decode(asked.stdout, type=TorchReport), None
    except subprocess.TimeoutExpired:
        return None, f"torch did not load within {TORCH_TIMEOUT_S:.0f} s"
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        return None, f"torch cannot be loaded: {clean(lines[-1]) if lines else error}"
    except (OSError, msgspec.DecodeError) as error:
        return None, f"torch could not be asked: {clean(str(error))}"


def terminal_facts() -> TerminalFacts:
    """What this terminal and its environment promise."""
    environment = os.environ
    return TerminalFacts(
        size=_size(),
        kind=environment.get("TERM"),
        colours=_colours(),
        unicode="utf" in (sys.stdout.encoding or "").lower(),
        tmux="TMUX" in environment,
        ssh="SSH_CONNECTION" in environment,
    )


def _size() -> str | None:
    try:
        columns, rows = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return None
    return f"{columns} x {rows}"


def _colours() -> str:
    """What the environment promises; the terminal itself is not asked."""
    kind = os.environ.get("TERM", "")
    if os.environ.get("NO_COLOR"):
        return "none (NO_COLOR is set)"
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return "truecolor"
    if kind in ("", "dumb"):
        return "none"
    return "256" if "256color" in kind else "16"
