"""What is written is there whole or not at all, and what is no file of ours is never replaced."""

import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from irregular_files import IRREGULAR
from prodtop.engine.files.atomic import require_writable, write_file, write_files

CONTENT = b"content" * 1000


@pytest.fixture(autouse=True)
def leaves_no_litter(tmp_path: Path) -> Iterator[None]:
    yield
    assert not list(tmp_path.rglob(".prodtop-*"))


@pytest.mark.parametrize("mode", [None, 0o644, 0o600])
def test_a_file_is_made_or_replaced_for_its_owner_alone(tmp_path: Path, mode: int | None) -> None:
    path = tmp_path / ("n" * 255)
    if mode is not None:
        path.write_bytes(b"old")
        path.chmod(mode)
        before = path.stat().st_ino
    require_writable(path)
    write_file(path, CONTENT)
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert mode is None or path.stat().st_ino != before, "it was replaced, not written over"


@pytest.mark.parametrize("exists", [True, False])
def test_of_a_link_what_it_points_to_is_replaced(tmp_path: Path, *, exists: bool) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "target", tmp_path / "link"
    link.symlink_to("there/target")
    if exists:
        target.write_bytes(b"old")
    write_file(link, CONTENT)
    assert link.is_symlink()
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("through", [True, False])
@pytest.mark.parametrize("kind", IRREGULAR)
def test_what_is_no_regular_file_is_what_it_was(
    tmp_path: Path, kind: str, *, through: bool
) -> None:
    path, other = tmp_path / "path", tmp_path / "other"
    IRREGULAR[kind](path)
    before = path.lstat()
    written = through and kind in {"a device", "a FIFO"}
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(path.read_bytes()), daemon=True)
    if written:
        require_writable(path)
        if kind == "a FIFO":
            reader.start()
        write_file(path, CONTENT, through=True)
    else:
        with pytest.raises(OSError, match=r"not a regular|directory|No such device"):
            write_files({other: CONTENT, path: CONTENT}, through=through)
        assert not other.exists(), "of several files all are written, or none"
    after = path.lstat()
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
    if written and kind == "a FIFO":
        reader.join()
        assert received == [CONTENT]


@pytest.mark.parametrize("name", ["/dev/full", "folder", "none/file", "loop", "file/below"])
def test_what_cannot_be_written_is_an_error_and_changes_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "loop").symlink_to("loop")
    path = tmp_path / name
    with pytest.raises(OSError, match=r"."):
        write_file(path, CONTENT, through=True)
    if name != "/dev/full":
        with pytest.raises(OSError, match=r"."):
            require_writable(path)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder", "loop"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_without_permission_to_write_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o400)
    for write in (require_writable, lambda path: write_file(path, CONTENT)):
        with pytest.raises(PermissionError):
            write(path)
    assert path.read_bytes() == b"old"


def test_whether_it_can_be_written_is_asked_without_a_change(tmp_path: Path) -> None:
    path = tmp_path / "file"
    require_writable(path)
    assert not path.exists()
    path.write_bytes(b"old")
    require_writable(path)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("failing", ["fsync", "fdopen"])
def test_a_failed_write_leaves_the_old_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """Also where the first of two was written already."""
    paths = [tmp_path / "first", tmp_path / "second"]
    for path in paths:
        path.write_bytes(b"old")
    real, calls = getattr(os, failing), []

    def full(*arguments: object, **options: object) -> object:
        calls.append(failing)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **options)

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match="No space"):
        write_files(dict.fromkeys(paths, CONTENT))
    assert [path.read_bytes() for path in paths] == [b"old", b"old"]


def test_our_own_output_is_written_into_and_not_replaced(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`--out /dev/stdout`, whatever that is led into."""
    for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        write_file(Path(name), name.encode(), through=True)
    assert capfd.readouterr().out == "/dev/stdout/dev/fd/1/proc/self/fd/1"
