"""The kernel's counters, as both versions of cgroups write them, and what a signal is called."""

from pathlib import Path

import pytest
from prodtop.engine.client.cause_of_death import (
    cause_of,
    read_memory_kills,
    signal_name,
)


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.mark.parametrize("own_path", ["/app/run", "/of/the/host"])
def test_version_2_counts_the_kills_and_names_the_tightest_limit(
    tmp_path: Path, own_path: str
) -> None:
    """In a container the path is the host's, and the files lie at the root."""
    root = tmp_path / "cgroup"
    kills = "low 0\nhigh 3\nmax 9\noom 1\noom_kill 2\n"
    write(root, memory__events=kills, memory__max=f"{2**31}\n")
    if own_path == "/app/run":
        write(root / "app" / "run", memory__events=kills, memory__max="max\n")
    own = tmp_path / "own"
    own.write_text(f"0::{own_path}\n")
    read = read_memory_kills(root, own, tmp_path / "none")
    assert (read.of_cgroup, read.of_machine, read.limit_bytes) == (2, None, 2**31)


def test_version_1_has_other_names(tmp_path: Path) -> None:
    folder = tmp_path / "cgroup" / "memory" / "job"
    write(
        folder,
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
        memory__limit_in_bytes=f"{2**30}\n",
    )
    write(folder.parent, memory__limit_in_bytes="9223372036854771712\n")
    own = tmp_path / "own"
    own.write_text("11:cpu,cpuacct:/job\n4:memory:/job\n0::/\n")
    read = read_memory_kills(tmp_path / "cgroup", own, tmp_path / "none")
    assert (read.of_cgroup, read.limit_bytes) == (5, 2**30)


def test_without_cgroups_the_machine_counts(tmp_path: Path) -> None:
    machine = tmp_path / "vmstat"
    machine.write_text("nr_free 12\noom_kill 1\n")
    before = read_memory_kills(tmp_path / "a", tmp_path / "b", machine)
    machine.write_text("nr_free 1\noom_kill 2\n")
    after = read_memory_kills(tmp_path / "a", tmp_path / "b", machine)
    assert before.since(before) is None
    assert "the machine's memory was full" in (after.since(before) or "")
    assert read_memory_kills(tmp_path, tmp_path, tmp_path).since(before) is None


def test_every_signal_number_has_a_name() -> None:
    assert signal_name(9) == "SIGKILL"
    assert all(signal_name(number) for number in range(1, 130))


def test_one_cause_is_one_whatever_its_sizes() -> None:
    assert cause_of("cannot take 12345678 bytes at 0x7fff") == cause_of(
        "cannot take 99999 bytes at 0xab"
    )
    assert cause_of("ended with exit code 3") != cause_of("ended with exit code 4")
