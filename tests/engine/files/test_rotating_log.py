"""A log stays within its bytes, for its owner alone, whoever else appends to it."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from irregular_files import IRREGULAR
from prodtop.engine.files import rotating_log
from prodtop.engine.files.rotating_log import RotatingLog, log_path

LIMIT = 1000


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotating_log, "MAX_LOG_BYTES", LIMIT)


def logs() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in log_path("worker").parent.iterdir()}


def test_a_log_that_has_grown_is_set_aside_while_it_is_written() -> None:
    log = RotatingLog("worker")
    lines = [f"line {n:04}\n".encode() for n in range(1000)]
    for line in lines:
        log.write(line)
        assert all(len(content) <= LIMIT for content in logs().values())
    kept = logs()
    assert set(kept) == {"worker.log", "worker.log.1"}
    whole = kept["worker.log.1"] + kept["worker.log"]
    assert b"".join(lines).endswith(whole), "the newest lines, none of them lost"
    assert len(whole) > LIMIT
    for path in log_path("worker").parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    log.close()


def test_of_more_than_a_log_takes_its_end_is_kept() -> None:
    log = RotatingLog("worker")
    log.write(b"x" * 5 * LIMIT + b"end")
    assert logs()["worker.log"].endswith(b"end")
    assert len(logs()["worker.log"]) == LIMIT


def test_what_is_there_is_appended_to_and_becomes_the_owners_alone() -> None:
    log_path("worker").parent.mkdir(parents=True)
    log_path("worker").write_bytes(b"old\n")
    log_path("worker").chmod(0o644)
    RotatingLog("worker").write(b"new\n")
    assert logs() == {"worker.log": b"old\nnew\n"}
    assert stat.S_IMODE(log_path("worker").stat().st_mode) == 0o600


def test_a_log_that_somebody_removed_or_set_aside_is_begun_again() -> None:
    one, other = RotatingLog("worker"), RotatingLog("worker")
    one.write(b"a" * 600)
    other.write(b"b" * 600)
    one.write(b"c")
    assert logs() == {"worker.log": b"b" * 600 + b"c", "worker.log.1": b"a" * 600}
    log_path("worker").unlink()
    one.write(b"d")
    other.write(b"e")
    assert logs()["worker.log"] == b"de"


WRITER = """
import sys
from pathlib import Path
from prodtop.engine.files import rotating_log
rotating_log.MAX_LOG_BYTES = int(sys.argv[1])
log = rotating_log.RotatingLog("worker")
sys.stdin.readline()
for _ in range(300):
    log.write(b"a line of a log\\n")
"""


def test_several_processes_stay_within_it_together() -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(LIMIT)], stdin=subprocess.PIPE)
        for _ in range(3)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"\n")
        writer.stdin.close()
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert set(logs()) == {"worker.log", "worker.log.1"}
    for content in logs().values():
        # Each may add a line between another's look at the size and its own write.
        assert len(content) <= LIMIT + len(writers) * 16
        assert set(content.splitlines()) == {b"a line of a log"}


@pytest.mark.parametrize("kind", IRREGULAR)
def test_what_is_no_regular_file_is_no_log(kind: str) -> None:
    log_path("worker").parent.mkdir(parents=True)
    IRREGULAR[kind](log_path("worker"))
    before = log_path("worker").lstat()
    with pytest.raises(OSError, match=r"."):
        RotatingLog("worker").write(b"x")
    after = log_path("worker").lstat()
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)


def test_where_it_cannot_be_set_aside_it_does_not_grow() -> None:
    log = RotatingLog("worker")
    log_path("worker").with_name("worker.log.1").mkdir()
    log.write(b"x" * LIMIT)
    with pytest.raises(OSError, match=r"."):
        log.write(b"more")
    assert log_path("worker").stat().st_size == LIMIT


def test_the_file_is_let_go_of() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    log = RotatingLog("worker")
    for _ in range(10):
        log.write(b"x" * (LIMIT - 1))
    log.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
