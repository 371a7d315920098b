"""Removing with a way back: nothing is lost by taking it back, and nothing stays for ever."""

import subprocess
import sys
from pathlib import Path

import pytest
from prodtop.engine.files.removal import Trash, empty_abandoned


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.json", "a.svg", "b.json"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_what_was_removed_comes_back_the_last_first(folder: Path) -> None:
    before, trash = files(folder), Trash()
    trash.take([folder / "a.json", folder / "a.svg"])
    trash.take([folder / "b.json", folder / "b.svg"])
    assert files(folder) == {}
    assert trash.restore() == [folder / "b.json"]
    assert files(folder) == {"b.json": "b.json"}
    trash.restore()
    assert files(folder) == before
    assert len(trash) == 0


def test_nothing_is_written_over_when_it_comes_back(folder: Path) -> None:
    trash = Trash()
    trash.take([folder / "a.json", folder / "a.svg"])
    (folder / "a.svg").write_text("another")
    with pytest.raises(FileExistsError):
        trash.restore()
    assert files(folder) == {"a.svg": "another", "b.json": "b.json"}
    (folder / "a.svg").unlink()
    trash.restore()
    assert files(folder)["a.json"] == "a.json"


def test_emptied_it_leaves_nothing(folder: Path) -> None:
    trash = Trash()
    trash.take([folder / "a.json", folder / "a.svg"])
    trash.empty()
    assert [path.name for path in folder.iterdir()] == ["b.json"]


def test_what_cannot_be_removed_stays_in_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trash, rename = Trash(), Path.rename

    def fail_at_the_picture(path: Path, target: Path) -> Path:
        if path.suffix == ".svg":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_at_the_picture)
    with pytest.raises(OSError, match="Input/output error"):
        trash.take([folder / "a.json", folder / "a.svg"])
    assert len(files(folder)) == 3
    assert len(trash) == 0


def test_the_longest_name_there_is_comes_back_too(folder: Path) -> None:
    path, trash = folder / ("n" * 255), Trash()
    path.write_text("long")
    trash.take([path])
    assert trash.restore() == [path]


def test_the_trash_of_a_killed_process_is_emptied_and_that_of_a_running_one_is_not(
    folder: Path,
) -> None:
    script = (
        "import sys; from pathlib import Path; from prodtop.engine.files.removal import Trash\n"
        f"trash = Trash(); trash.take([Path({str(folder)!r}) / 'a.json'])\n"
        "print('done', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "done\n"
        (hidden,) = folder.glob(".trash-*")
        empty_abandoned(folder)
        assert len(list(hidden.iterdir())) == 1
        child.kill()
        child.wait()
    empty_abandoned(folder)
    assert not hidden.exists()
    assert "a.json" not in files(folder)
