"""Limits on host memory, read from files made up here; what is not there is left out."""

import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.probes.memory_limits import MemoryLimit, least, read_host_limits

KIB, GIB = 1024, 2**30
NO_LIMIT_V1 = 9223372036854771712


class Machine:
    """A root folder with the files that limits are read from."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, content: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def free(self, size: int) -> None:
        self.write("proc/meminfo", f"MemTotal: 99 kB\nMemAvailable:  {size // KIB} kB\n")

    def process(self, *, size: int = 0, data: int = 0, rss: int = 0) -> None:
        lines = (f"VmSize:\t{size // KIB} kB", f"VmRSS:\t{rss // KIB} kB")
        self.write("proc/self/status", "\n".join([*lines, f"VmData:\t{data // KIB} kB\n"]))

    def v2(self, path: str, limit: str, used: int, file_pages: int = 0, high: str = "max") -> None:
        folder = f"sys/fs/cgroup{path}"
        self.write(f"{folder}/memory.max", limit + "\n")
        self.write(f"{folder}/memory.high", high + "\n")
        self.write(f"{folder}/memory.current", f"{used}\n")
        self.write(f"{folder}/memory.events", "oom_kill 0\n")
        self.write(f"{folder}/memory.stat", f"anon 1\nactive_file 0\ninactive_file {file_pages}\n")

    def v1(self, path: str, limit: int, used: int, file_pages: int = 0, above: int = 0) -> None:
        folder = f"sys/fs/cgroup/memory{path}"
        self.write(f"{folder}/memory.limit_in_bytes", f"{limit}\n")
        self.write(f"{folder}/memory.usage_in_bytes", f"{used}\n")
        self.write(f"{folder}/memory.oom_control", "oom_kill 0\n")
        statistics = f"hierarchical_memory_limit {above or NO_LIMIT_V1}\n"
        self.write(f"{folder}/memory.stat", f"{statistics}total_active_file {file_pages}\n")

    def own(self, content: str) -> None:
        self.write("proc/self/cgroup", content)

    def limits(self, ulimits: dict[int, int] | None = None) -> tuple[MemoryLimit, ...]:
        return read_host_limits(self.root, ulimits or {})

    def binding(self, ulimits: dict[int, int] | None = None) -> tuple[str, int] | None:
        limit = least(self.limits(ulimits))
        return None if limit is None else (limit.name, limit.left_bytes)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_cannot_be_read_is_unknown_and_not_zero(machine: Machine) -> None:
    assert machine.limits({resource.RLIMIT_AS: GIB}) == ()
    assert machine.binding() is None
    machine.own("0::/a\n")
    machine.write("proc/meminfo", "MemAvailable: soon kB\n")
    machine.write("sys/fs/cgroup/a/memory.max", "1000\n")
    machine.write("sys/fs/cgroup/a/memory.events", "oom_kill 0\n")
    assert machine.limits() == (), "a limit without its use leaves nobody knows how much"


def test_the_least_of_a_cgroup_and_all_around_it_binds(machine: Machine) -> None:
    machine.free(64 * GIB)
    machine.own("0::/slice/unit/leaf\n")
    machine.v2("/slice", str(10 * GIB), used=7 * GIB, file_pages=2 * GIB)
    machine.v2("/slice/unit", "max", used=3 * GIB)
    machine.v2("/slice/unit/leaf", str(8 * GIB), used=2 * GIB)
    assert machine.binding() == ("the cgroup's limit", 5 * GIB), "file pages can be dropped"
    machine.v2("/slice/unit", "max", used=3 * GIB, high=str(4 * GIB))
    assert machine.binding() == ("the cgroup's limit", 1 * GIB)
    machine.v2("/slice/unit/leaf", str(2 * GIB), used=3 * GIB)
    assert machine.binding() == ("the cgroup's limit", 0)


def test_version_1_names_the_limits_that_a_container_does_not_see(machine: Machine) -> None:
    machine.own("5:memory:/docker/x\n3:cpu:/\n0::/\n")
    machine.v1("/docker/x", NO_LIMIT_V1, used=GIB, file_pages=GIB // 2)
    assert machine.limits() == ()
    machine.v1("/docker/x", NO_LIMIT_V1, used=GIB, file_pages=GIB // 2, above=2 * GIB)
    assert machine.binding() == ("the cgroup's limit", 2 * GIB - GIB // 2)
    machine.v1("/docker", GIB, used=GIB)
    assert machine.binding() == ("the cgroup's limit", 0)


ULIMITS = {
    "ulimit -v": (resource.RLIMIT_AS, "size"),
    "ulimit -d": (resource.RLIMIT_DATA, "data"),
    "ulimit -m": (resource.RLIMIT_RSS, "rss"),
}


@pytest.mark.parametrize("name", ULIMITS)
def test_each_ulimit_counts_its_own_use(machine: Machine, name: str) -> None:
    kind, used = ULIMITS[name]
    machine.free(64 * GIB)
    machine.process(**{used: 3 * GIB})
    assert machine.binding({kind: 5 * GIB}) == (name, 2 * GIB)
    assert machine.binding({kind: GIB}) == (name, 0)


@given(sizes=st.lists(st.integers(0, 2**50), max_size=6))
def test_the_least_of_any_limits_binds(sizes: list[int]) -> None:
    found = least([MemoryLimit(f"limit {size}", size) for size in sizes])
    assert (None if found is None else found.left_bytes) == min(sizes, default=None)


def test_this_machine_tells_how_much_is_free() -> None:
    names = {limit.name for limit in read_host_limits()}
    assert "the machine's free memory" in names
