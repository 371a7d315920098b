"""Why a child ended: from its exit code, its signal, the kernel's counters and what it printed."""

import re
import signal
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
MACHINE_COUNTERS = Path("/proc/vmstat")
_NO_LIMIT_BYTES = 1 << 60
"""A limit at or above this is how version 1 writes that there is none."""

SENT_SIGNALS = frozenset(
    signal.Signals[name]
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGKILL", "SIGUSR1", "SIGUSR2")
)
"""Signals that somebody else sends; the others tell of an error in the process itself."""

_VARYING = re.compile(r"0x[0-9a-fA-F]+|\d{4,}")


def cause_of(reason: str) -> str:
    """What two deaths of one cause have in common: the reason without sizes and addresses."""
    return _VARYING.sub("#", reason)


def signal_name(number: int) -> str:
    """`SIGKILL`, and `signal 40` where the number has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass(frozen=True, slots=True)
class MemoryKills:
    """How many processes the kernel had killed for memory: of this cgroup, and of the machine."""

    of_cgroup: int | None
    of_machine: int | None
    limit_bytes: int | None

    def since(self, earlier: "MemoryKills") -> str | None:
        """What happened between two readings, in words; `None`: nobody was killed for memory."""
        if _rose(earlier.of_cgroup, self.of_cgroup):
            if self.limit_bytes is None:
                return "killed by the kernel, out of memory"
            limit = f"{self.limit_bytes / 2**30:.3g} GiB"
            return f"killed by the kernel, out of memory: the cgroup's limit is {limit}"
        if _rose(earlier.of_machine, self.of_machine):
            return "killed by the kernel, out of memory: the machine's memory was full"
        return None


def _rose(before: int | None, after: int | None) -> bool:
    return before is not None and after is not None and after > before


def read_memory_kills(
    cgroups: Path = CGROUPS, own: Path = OWN_CGROUPS, machine: Path = MACHINE_COUNTERS
) -> MemoryKills:
    """The counters as they stand; a child is in its parent's cgroup. Never raises."""
    folder, version = _memory_cgroup(cgroups, own)
    names = ("memory.events", "memory.max") if version == 2 else _VERSION_1
    of_cgroup = None if folder is None else _counter(folder / names[0])
    limits = [
        limit
        for each in _with_parents(folder, cgroups)
        if (limit := _number(each / names[1])) is not None and limit < _NO_LIMIT_BYTES
    ]
    return MemoryKills(of_cgroup, _counter(machine), min(limits, default=None))


_VERSION_1 = ("memory.oom_control", "memory.limit_in_bytes")


def _memory_cgroup(cgroups: Path, own: Path) -> tuple[Path | None, int]:
    """The folder of this process's memory cgroup, and the version of its interface."""
    lines = _text(own).splitlines()
    for line in sorted(lines, key=lambda line: line.startswith("0::")):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        version = 1 if controllers else 2
        root = cgroups / "memory" if version == 1 else cgroups
        # In a container the path may be the host's: there the root is what it was given.
        for folder in (root / path.lstrip("/"), root):
            if (folder / (_VERSION_1[0] if version == 1 else "memory.events")).is_file():
                return folder, version
    return None, 2


def _with_parents(folder: Path | None, root: Path) -> list[Path]:
    if folder is None:
        return []
    return [each for each in (folder, *folder.parents) if each.is_relative_to(root)]


def _counter(file: Path) -> int | None:
    """The number in the line `oom_kill N`."""
    for line in _text(file).splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill" and value.strip().isdecimal():
            return int(value)
    return None


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdecimal() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
