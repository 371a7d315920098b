"""A file that grows: a name of its own, for its owner alone, and whole lines or none."""

import errno
import os
import stat
from pathlib import Path

import pytest
from irregular_files import IRREGULAR
from prodtop.engine.files.growing_file import GrowingFile


def test_lines_are_there_as_soon_as_they_are_appended(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.jsonl")
    file.append(b"one\n")
    assert file.path.read_bytes() == b"one\n"
    file.append(b"two\n")
    file.close()
    assert file.path.read_bytes() == b"one\ntwo\n"
    assert file.bytes == 8
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", [*IRREGULAR, "a file", "a link to nothing"])
def test_what_has_the_name_stays_as_it_is(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    if kind in IRREGULAR:
        IRREGULAR[kind](path)
    elif kind == "a file":
        path.write_bytes(b"kept")
    else:
        path.symlink_to(tmp_path / "nothing")
    before = path.lstat()
    first, second = GrowingFile(path), GrowingFile(path)
    assert [each.path.name for each in (first, second)] == ["a-2.jsonl", "a-3.jsonl"]
    assert path.lstat() == before
    assert not (tmp_path / "nothing").exists()


def test_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        GrowingFile(tmp_path / "none" / "a.jsonl")


def test_what_a_full_disk_took_of_a_line_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = GrowingFile(tmp_path / "a.jsonl")
    file.append(b"one\n")
    write = os.write
    left = [5]

    def short_write(fd: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(fd, bytes(data)[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr(os, "write", short_write)
    with pytest.raises(OSError, match="No space"):
        file.append(b"a longer line\n")
    monkeypatch.undo()
    assert file.path.read_bytes() == b"one\n"
    file.append(b"two\n")
    assert file.path.read_bytes() == b"one\ntwo\n"
