"""A file is read again when it has changed, and only then."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from prodtop.engine.files.changed import ReadWhenChanged, file_stamp

SECOND_NS = 10**9


def write(path: Path, text: str, changed_s: int = 1) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (changed_s, changed_s))


def replace(path: Path) -> None:
    """As an editor does: another file of the same size and time takes the place."""
    beside = path.with_suffix(".new")
    write(beside, path.read_text(encoding="utf-8"))
    beside.replace(path)


CHANGES: dict[str, Callable[[Path], None]] = {
    "longer": lambda path: write(path, "longer than before"),
    "later": lambda path: write(path, "first", 2),
    "earlier": lambda path: write(path, "first", 0),
    "another file": replace,
    "gone": Path.unlink,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_read_once(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "file"
    calls: list[Path] = []
    write(path, "first")
    reader = ReadWhenChanged[int]()

    def read() -> int:
        calls.append(path)
        return len(calls)

    def look() -> int:
        return reader.look(path, read)

    assert [look(), look()] == [1, 1]
    change(path)
    assert [look(), look()] == [2, 2]


def test_another_path_is_another_file(tmp_path: Path) -> None:
    reader = ReadWhenChanged[str]()
    assert reader.look(tmp_path / "a", lambda: "a") == "a"
    assert reader.look(tmp_path / "b", lambda: "b") == "b"


def test_a_reading_that_failed_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, "first")
    reader = ReadWhenChanged[str]()

    def fail() -> str:
        raise ValueError("not yet")

    for _ in range(2):
        with pytest.raises(ValueError, match="not yet"):
            reader.look(path, fail)
    assert reader.look(path, lambda: "read") == "read"


def test_a_stamp_tells_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, "first", 3)
    stamp = file_stamp(path)
    assert stamp is not None
    assert (stamp.changed_ns, stamp.size_bytes) == (3 * SECOND_NS, 5)
    for name in ("missing", "with\0zero", "a" * 5000):
        assert file_stamp(tmp_path / name) is None
