"""What a child prints: where no file can be written, it is kept in memory, but not all of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prodtop.engine.client import child_log
from prodtop.engine.client.child_log import MEMORY_BYTES, ChildLog


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> ChildLog:
    def refused(_: str) -> Path:
        raise PermissionError("no folder to write to")

    monkeypatch.setattr(child_log, "log_file", refused)
    return ChildLog("worker")


def size(log: ChildLog) -> int:
    return os.fstat(log.file.fileno()).st_size


def test_what_is_in_memory_stays_small_and_keeps_the_newest(in_memory: ChildLog) -> None:
    """The child writes through a descriptor of its own, as a real one does."""
    script = (
        "import os\n"
        "for number in range(200):\n"
        "    os.write(1, b'%7d ' % number * 1024 + b'\\n')\n"
        "    os.write(2, b'.\\n'); input()\n"
        "print('last words', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=in_memory.file,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    for _ in range(200):
        process.stderr.readline()
        in_memory.trim()
        assert size(in_memory) <= MEMORY_BYTES
        process.stdin.write(b"\n")
        process.stdin.flush()
    process.communicate()
    assert in_memory.path is None
    assert in_memory.last_line() == "last words"
    kept = os.pread(in_memory.file.fileno(), MEMORY_BYTES, 0)
    assert b"    199 " in kept
    assert b"      0 " not in kept
    assert b"\0" not in kept, "no hole where it was cut"
    in_memory.close()


def test_a_file_is_left_to_whoever_rotates_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_log, "log_file", lambda _: tmp_path / "worker.log")
    log = ChildLog("worker")
    os.write(log.file.fileno(), b"x" * (MEMORY_BYTES + 1))
    log.trim()
    assert size(log) == MEMORY_BYTES + 1
    log.close()
