"""How much host memory this process may still take, by each limit that it can read.

A limit that cannot be read is unknown, and left out: it is not zero, and not infinite either.
"""

import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from .cgroups import memory_cgroup, text

ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """A limit by the name that a sentence begins with, and the bytes that it leaves now."""

    name: str
    left_bytes: int


@dataclass(frozen=True, slots=True)
class _Ulimit:
    """A resource limit: its option of `ulimit`, and the line of `status` that counts against it.

    Linux enforces all but `-m`: who sets that one wants it kept all the same.
    """

    option: str
    resource: int
    counted: str


_ULIMITS = (
    _Ulimit("-v", resource.RLIMIT_AS, "VmSize"),
    _Ulimit("-d", resource.RLIMIT_DATA, "VmData"),
    _Ulimit("-m", resource.RLIMIT_RSS, "VmRSS"),
)


def own_ulimits() -> dict[int, int]:
    """The soft limits of this process in bytes, by resource; those that are set."""
    soft = {each.resource: resource.getrlimit(each.resource)[0] for each in _ULIMITS}
    return {kind: size for kind, size in soft.items() if size != resource.RLIM_INFINITY}


def read_host_limits(
    root: Path = ROOT, ulimits: Mapping[int, int] | None = None
) -> tuple[MemoryLimit, ...]:
    """The limits as they stand, from the file systems under `root`. Never raises.

    `ulimits`: the soft limits by resource, by default those of this process.
    """
    return (
        *_machine(root),
        *_cgroups(root),
        *_process(root, own_ulimits() if ulimits is None else ulimits),
    )


def least(limits: Sequence[MemoryLimit]) -> MemoryLimit | None:
    """The limit that binds; `None` where none is known."""
    return min(limits, key=lambda limit: limit.left_bytes, default=None)


def _machine(root: Path) -> Iterator[MemoryLimit]:
    if sys.platform == "linux":
        available = _kib(root / "proc/meminfo", "MemAvailable")
    else:
        available = psutil.virtual_memory().available
    if available is not None:
        yield MemoryLimit("the machine's free memory", available)


def _cgroups(root: Path) -> Iterator[MemoryLimit]:
    """Of the cgroup and those around it: each with what all of its processes use."""
    own = memory_cgroup(root / "sys/fs/cgroup", root / "proc/self/cgroup")
    for cgroup in () if own is None else own.with_parents():
        limit, used = cgroup.limit_bytes(), cgroup.used_bytes()
        if limit is not None and used is not None:
            yield MemoryLimit("the cgroup's limit", max(0, limit - used))


def _process(root: Path, ulimits: Mapping[int, int]) -> Iterator[MemoryLimit]:
    for each in _ULIMITS:
        limit, used = ulimits.get(each.resource), _kib(root / "proc/self/status", each.counted)
        if limit is not None and used is not None:
            yield MemoryLimit(f"ulimit {each.option}", max(0, limit - used))


def _kib(file: Path, name: str) -> int | None:
    """Bytes of the line `NAME: N kB`."""
    for line in text(file).splitlines():
        key, _, value = line.partition(":")
        figure = value.removesuffix("kB").strip()
        if key == name and figure.isdecimal():
            return int(figure) * 1024
    return None
