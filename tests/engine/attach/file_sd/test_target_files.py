"""Discovery files that change, come, go, break and are mended while they are followed."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from prodtop.engine.attach.asking.settings import MOST_SERVERS, TargetFile
from prodtop.engine.attach.file_sd.files import Discovered, TargetFiles, checked_pattern
from prodtop.engine.protocol.errors import BadInputError

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a discovery file of a group as others do: a new file that takes the old one's place."""

    def write(name: str, *targets: str, **labels: str) -> Path:
        path, new = tmp_path / name, tmp_path / "new"
        new.write_text(json.dumps([{"targets": targets, "labels": labels}]))
        new.replace(path)
        return path

    return write


def following(*paths: Path | str) -> TargetFiles:
    return TargetFiles([TargetFile(path=str(path)) for path in paths])


def settled(files: TargetFiles) -> Discovered | None:
    """The last news of as many looks as a change takes."""
    news = [files.look() for _ in range(3)]
    return next((each for each in reversed(news) if each is not None), None)


def names(found: Discovered | None) -> list[str]:
    assert found is not None
    return [server.name for server in found.servers]


def test_targets_come_and_go_with_the_file(write: Write) -> None:
    path = write("a.json", "one:1", "two:2", node="n1")
    files = following(path)
    found = files.look()
    assert names(found) == ["one:1", "two:2"]
    assert found is not None
    assert found.servers[0].labels == {"node": "n1"}
    assert settled(files) is None, "nothing has changed"
    write("a.json", "two:2", "three:3")
    assert names(settled(files)) == ["two:2", "three:3"]
    path.unlink()
    gone = settled(files)
    assert names(gone) == []
    assert gone is not None
    assert "there is no such file" in gone.notes[0]
    write("a.json", "four:4")
    assert names(settled(files)) == ["four:4"]


def test_a_broken_file_keeps_its_last_targets_and_says_so(write: Write) -> None:
    path = write("a.json", "one:1", "two:2")
    files = following(path)
    files.look()
    path.write_text('[{"targets": ["thr')
    found = settled(files)
    assert names(found) == ["one:1", "two:2"]
    assert found is not None
    assert "is no JSON" in found.notes[0]
    assert "its 2 targets of before stay" in found.notes[0]
    write("a.json", "three:3")
    found = settled(files)
    assert names(found) == ["three:3"]
    assert found is not None
    assert found.notes == ()


@pytest.mark.parametrize("way", ["folder", "large"])
def test_what_cannot_be_read_keeps_them_as_well(write: Write, way: str) -> None:
    path = write("a.json", "one:1")
    files = following(path)
    files.look()
    path.unlink()
    if way == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(1 << 30)
    found = settled(files)
    assert names(found) == ["one:1"]
    assert found is not None
    assert "its 1 target of before stay" in found.notes[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_closed_file_is_read_once_it_is_open_again(write: Write) -> None:
    path = write("a.json", "one:1")
    path.chmod(0)
    files = following(path)
    found = files.look()
    assert names(found) == []
    path.chmod(0o600)
    assert names(settled(files)) == ["one:1"]


def test_what_cannot_be_read_is_tried_again_though_it_looks_the_same(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prodtop.engine.attach.file_sd import files as module
    from prodtop.engine.protocol.errors import CheckpointError

    def closed(path: Path, _limit: int) -> bytes:
        raise CheckpointError(f"{path}: cannot be read: closed")

    files = following(write("a.json", "one:1"))
    with monkeypatch.context() as patch:
        patch.setattr(module, "read_bounded", closed)
        found = files.look()
        assert names(found) == []
        assert found is not None
        assert "cannot be read" in found.notes[0]
    assert names(settled(files)) == ["one:1"]


def test_a_file_that_is_being_written_is_not_read_half(write: Write) -> None:
    path = write("a.json", "one:1")
    files = following(path)
    files.look()
    text = json.dumps([{"targets": ["two:2", "three:3"]}])
    for end in range(1, len(text)):
        path.write_text(text[:end])
        assert files.look() is None, "between two looks it has changed"
    path.write_text(text)
    assert names(settled(files)) == ["two:2", "three:3"]


def test_a_pattern_finds_files_that_come_later(write: Write, tmp_path: Path) -> None:
    files = following(tmp_path / "fleet-*.json")
    found = files.look()
    assert names(found) == []
    assert found is not None
    assert "no file is called so" in found.notes[0]
    write("fleet-a.json", "one:1")
    write("other.json", "never:1")
    assert names(settled(files)) == ["one:1"]
    second = write("fleet-b.json", "two:2", "one:1")
    assert names(settled(files)) == ["one:1", "two:2"]
    second.unlink()
    assert names(settled(files)) == ["one:1"]


def test_a_link_that_is_turned_is_followed(write: Write, tmp_path: Path) -> None:
    """As Kubernetes does with a ConfigMap: the file is a link into a folder that is a link."""
    for name, target in (("v1", "one:1"), ("v2", "two:2")):
        (tmp_path / name).mkdir()
        write(f"{name}/a.json", target)
    (tmp_path / "data").symlink_to("v1")
    (tmp_path / "a.json").symlink_to("data/a.json")
    files = following(tmp_path / "a.json")
    assert names(files.look()) == ["one:1"]
    (tmp_path / "turned").symlink_to("v2")
    (tmp_path / "turned").replace(tmp_path / "data")
    assert names(settled(files)) == ["two:2"]


def test_a_target_that_is_none_is_left_out_and_said(write: Write) -> None:
    found = following(write("a.json", "ok:1", "http://me:s3cret@b")).look()
    assert names(found) == ["ok:1"]
    assert found is not None
    assert "a target is left out" in found.notes[0]
    assert "s3cret" not in found.notes[0]


def test_more_targets_than_are_watched_are_left_out_and_said(write: Write) -> None:
    found = following(write("a.json", *(f"s{each}:1" for each in range(MOST_SERVERS + 50)))).look()
    assert len(names(found)) == MOST_SERVERS
    assert found is not None
    assert "only the first 2,000 targets" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no path"),
        ("/a*/b.json", "only the last part"),
        ("/a/b.txt", "ends in .json, .yml, .yaml"),
        ("/a/b\0.json", "no path"),
    ],
)
def test_a_path_that_no_discovery_file_has_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        checked_pattern(text)
