"""Which model, device and release something is measured of, without loading any of them."""

import hashlib
import os
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from ..files.changed import file_stamp
from ..probes.host import cpu_name
from ..probes.nvml import GpuProbe
from ..probes.nvml_api import load_pynvml
from ..protocol.options import BUNDLED_MODEL
from ..text.cleaning import clean

PACKAGES = ("prodtop", "torch")
MOST_FILES = 4096
"""Of a model folder that are looked at."""
UNKNOWN_DEVICE = "a device that is not known here"
GGUF = ".gguf"


def versions() -> dict[str, str]:
    """The releases that a measurement depends on; a package that is missing is left out."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def checkpoint_identity(model: str) -> str:
    """A digest of what `--model` names: of a file or folder its path and, for every file in it,
    name, size and time of change; else of the name alone."""
    path = _local(model)
    if path is None:
        return _digest([model])
    files = sorted(_files(path))[:MOST_FILES]
    return _digest([str(path), *files])


def model_name(model: str) -> str:
    """The model as the engine will call it. Of a GGUF file its stem: the name that is written in it
    is not read here, and `checkpoint_identity` is what tells."""
    path = _local(model)
    if path is None:
        return clean(model.partition("@")[0].rpartition("/")[2])
    return clean(path.stem if path.suffix in (".json", GGUF) else path.name)


def device_name(device: str, gpus: Sequence[str] | None = None, visible: str | None = None) -> str:
    """The device as the engine will call it; `gpus` are NVML's, read here where none are given.

    `visible` is `CUDA_VISIBLE_DEVICES`. A device that cannot be told is `UNKNOWN_DEVICE`.
    """
    if device == "cpu" or (device == "auto" and _torch_is_for_cpus()):
        return cpu_name() or "CPU"
    names = _gpu_names() if gpus is None else list(gpus)
    names = _visible(names, os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible)
    if device == "auto" and not names:
        return cpu_name() or "CPU"
    kind, _, index = device.partition(":")
    if kind not in ("auto", "cuda") or (index and not index.isdecimal()):
        return UNKNOWN_DEVICE
    number = int(index or 0)
    return names[number] if number < len(names) else UNKNOWN_DEVICE


def _local(model: str) -> Path | None:
    if model == BUNDLED_MODEL:
        return None
    # Unlike Path's, these say no to whatever cannot be looked at.
    path = os.path.expanduser(model)  # noqa: PTH111
    return Path(os.path.realpath(path)) if os.path.lexists(path) else None


def _files(path: Path) -> list[str]:
    found = []
    for each in path.iterdir() if path.is_dir() else [path]:
        stamp = file_stamp(each)
        if stamp is not None:
            found.append(f"{each.name} {stamp.size_bytes} {stamp.changed_ns}")
    return found


def _digest(parts: Sequence[str]) -> str:
    text = "\n".join(parts).encode(errors="surrogateescape")
    return hashlib.sha256(text).hexdigest()[:16]


def _torch_is_for_cpus() -> bool:
    return "+cpu" in versions().get("torch", "")


def _gpu_names() -> list[str]:
    probe = GpuProbe(load_pynvml)
    try:
        return [clean(gpu.name) for gpu in probe.read().gpus]
    finally:
        probe.close()


def _visible(names: list[str], visible: str | None) -> list[str]:
    """What CUDA numbers from 0. UUIDs are not looked up: they do where all GPUs are the same."""
    if visible is None or not names:
        return names
    chosen: list[str] = []
    for part in visible.split(","):
        if part.strip().isdecimal() and int(part) < len(names):
            chosen.append(names[int(part)])
        elif part.strip().startswith(("GPU-", "MIG-")) and len(set(names)) == 1:
            chosen.append(names[0])
        else:
            # CUDA ends the list at the first that it does not know.
            break
    return chosen
