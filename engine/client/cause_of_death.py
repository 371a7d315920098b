"""Why a child ended: from its exit code, its signal, the kernel's counters and what it printed."""

import re
import signal
from dataclasses import dataclass
from pathlib import Path

from ..probes.cgroups import CGROUPS, OWN_CGROUPS, memory_cgroup, text

MACHINE_COUNTERS = Path("/proc/vmstat")


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
    own_cgroup = memory_cgroup(cgroups, own)
    if own_cgroup is None:
        return MemoryKills(None, _counter(machine), None)
    limits = [each.limit_bytes() for each in own_cgroup.with_parents()]
    return MemoryKills(
        of_cgroup=_counter(own_cgroup.events),
        of_machine=_counter(machine),
        limit_bytes=min((limit for limit in limits if limit is not None), default=None),
    )


def _counter(file: Path) -> int | None:
    """The number in the line `oom_kill N`."""
    for line in text(file).splitlines():
        name, _, value = line.partition(" ")
        if name == "oom_kill" and value.strip().isdecimal():
            return int(value)
    return None
