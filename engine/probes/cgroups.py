"""The memory cgroup of this process and its parents: limits and use, of version 1 and of 2."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
_NO_LIMIT_BYTES = 1 << 60
"""A limit at or above this is how version 1 writes that there is none."""


@dataclass(frozen=True, slots=True)
class MemoryCgroup:
    """A folder of the cgroup file system, and the names that its version gives to the files."""

    folder: Path
    root: Path
    version: int

    @property
    def events(self) -> Path:
        """The file with the line `oom_kill N`."""
        return self.folder / _EVENTS[self.version]

    def with_parents(self) -> Iterator["MemoryCgroup"]:
        """It and those around it, as far as the mount shows them: the limit of each holds."""
        for folder in (self.folder, *self.folder.parents):
            if folder.is_relative_to(self.root):
                yield MemoryCgroup(folder, self.root, self.version)

    def limit_bytes(self) -> int | None:
        """The least limit of its own; `None` where it has none, or does not tell.

        Above `memory.high` of version 2 a process is not killed but all but stopped.
        """
        limits = [number(self.folder / name) for name in _LIMITS[self.version]]
        if self.version == 1:
            # Also of parents that a container does not see.
            limits.append(self._statistic("hierarchical_memory_limit"))
        real = [limit for limit in limits if limit is not None and limit < _NO_LIMIT_BYTES]
        return min(real, default=None)

    def used_bytes(self) -> int | None:
        """What it holds, but for file pages, which the kernel drops before it ends a process."""
        used = number(self.folder / _USED[self.version])
        if used is None:
            return None
        prefix = "total_" if self.version == 1 else ""
        files = [self._statistic(f"{prefix}{state}_file") for state in ("active", "inactive")]
        return max(0, used - sum(size or 0 for size in files))

    def _statistic(self, name: str) -> int | None:
        for line in text(self.folder / "memory.stat").splitlines():
            key, _, value = line.partition(" ")
            if key == name and value.strip().isdecimal():
                return int(value)
        return None


_EVENTS = {1: "memory.oom_control", 2: "memory.events"}
_LIMITS = {1: ("memory.limit_in_bytes",), 2: ("memory.max", "memory.high")}
_USED = {1: "memory.usage_in_bytes", 2: "memory.current"}


def memory_cgroup(cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> MemoryCgroup | None:
    """The memory cgroup of this process; `None` where there is none to be seen. Never raises."""
    lines = text(own).splitlines()
    for line in sorted(lines, key=lambda line: line.startswith("0::")):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        version = 1 if controllers else 2
        root = cgroups / "memory" if version == 1 else cgroups
        # In a container the path may be the host's: there the root is what it was given.
        for folder in (root / path.lstrip("/"), root):
            if (folder / _EVENTS[version]).is_file() or (folder / _USED[version]).is_file():
                return MemoryCgroup(folder, root, version)
    return None


def number(file: Path) -> int | None:
    """The number that is all of a file's text."""
    content = text(file).strip()
    return int(content) if content.isdecimal() else None


def text(file: Path) -> str:
    """A file's text; empty where it cannot be read."""
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
