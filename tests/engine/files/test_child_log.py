"""What a child prints: kept within bounds, and its last line known whatever the disk takes."""

import os
import stat
from pathlib import Path

import pytest
from prodtop.engine.files import rotating_log
from prodtop.engine.files.child_log import ChildLog, last_line
from prodtop.engine.files.rotating_log import log_path


def say(log: ChildLog, text: bytes) -> None:
    """Print as a child does."""
    while text:
        text = text[os.write(log.inlet, text[: 1 << 16]) :]
        log.drain()


def test_a_child_that_prints_for_days_fills_two_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotating_log, "MAX_LOG_BYTES", 100_000)
    log = ChildLog("worker")
    for day in range(20):
        say(log, f"day {day}\n".encode() * 10_000)
    folder = log_path("worker").parent
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 200_000
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    say(log, b"the reason\n")
    assert log.last_line() == "the reason"
    log.close()


def test_the_end_of_the_output_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    log = ChildLog("worker")
    assert log.drain()
    os.write(log.inlet, b"last words")
    log.close_inlet()
    assert not log.drain()
    assert log.last_line() == "last words"
    log.close()
    assert log_path("worker").read_bytes() == b"last words"


def broken_folder(path: Path) -> None:
    path.parent.parent.mkdir(parents=True)
    path.parent.write_bytes(b"")


def full_disk(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/full")


def folder(path: Path) -> None:
    path.mkdir(parents=True)


@pytest.mark.parametrize("how", [broken_folder, full_disk, folder])
def test_a_log_that_cannot_be_written_loses_nothing_of_the_reason(how: object) -> None:
    assert callable(how)
    how(log_path("worker"))
    log = ChildLog("worker")
    say(log, b"x" * 300_000 + b"\nRuntimeError: no such kernel\n")
    assert log.last_line() == "RuntimeError: no such kernel"
    assert log.path is None, "a log that says nothing is not named"
    log.close()


def test_a_disk_that_fills_meanwhile_loses_nothing_of_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = ChildLog("worker")
    say(log, b"begin\n")
    named = log.path

    def full(_: object, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rotating_log.RotatingLog, "write", full)
    say(log, b"the reason\n")
    assert log.last_line() == "the reason"
    assert (named, log.path) == (log_path("worker"), None)
    log.close()


@pytest.mark.parametrize(
    ("printed", "line"),
    [(b"", ""), (b"a\nb\n\n  \n", "b"), (b"\xff\xfe", "\ufffd\ufffd"), (b"x" * 9000, "x" * 300)],
)
def test_the_last_line_says_something(printed: bytes, line: str) -> None:
    assert last_line(printed) == line
