"""Naming and removing what was saved: nothing else in a file changes, and nothing is lost."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from prodtop.engine.protocol.errors import ProdtopError
from prodtop.engine.records.recording.naming import name_recording
from prodtop.engine.records.recording.reader import Recording, RecordingError
from prodtop.engine.records.snapshot import (
    SCHEMA_VERSION,
    SnapshotError,
    list_snapshots,
    load_snapshot,
    save_snapshot,
)
from prodtop.engine.records.snapshot_files import LONGEST_LABEL, name_snapshot, remove_snapshot
from recording_samples import read_all, recorded_session
from snapshot_samples import snapshot


def test_a_name_changes_nothing_else(tmp_path: Path) -> None:
    path = save_snapshot(snapshot(screen={"wall_s": 1.5}), "<svg/>", tmp_path)
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, "of_another_version": [1, 0.1, {"a": None}]}))
    name_snapshot(path, "at \x1b[2J noon\n")
    after = json.loads(path.read_text())
    assert after.pop("label") == "at [2J noon"
    assert after.pop("of_another_version") == [1, 0.1, {"a": None}]
    assert after == {key: value for key, value in fields.items() if key != "label"}
    assert load_snapshot(path) == msgspec.structs.replace(
        snapshot(screen={"wall_s": 1.5}), label="at [2J noon"
    )
    name_snapshot(path, "")
    assert load_snapshot(path).label == ""


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"schema_version": 1}', b'{"schema_version": 99, "label": ""}']
)
def test_what_is_no_snapshot_is_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(SnapshotError):
        name_snapshot(path, "mine")
    assert path.read_bytes() == content


def test_a_name_too_long_is_refused(tmp_path: Path) -> None:
    path = save_snapshot(snapshot(), "", tmp_path)
    with pytest.raises(SnapshotError, match="200 characters at most"):
        name_snapshot(path, "a" * (LONGEST_LABEL + 1))


def test_removing_takes_the_picture_along(tmp_path: Path) -> None:
    paths = [save_snapshot(snapshot(), "<svg/>", tmp_path) for _ in range(2)]
    remove_snapshot(paths[0])
    assert list_snapshots(tmp_path) == [paths[1]]
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ProdtopError, match="cannot remove"):
        remove_snapshot(paths[0])


def test_a_recording_gets_a_name_and_holds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.ptop"
    ticks = recorded_session(path, 5)
    for name in ("before\x9b the\nrun", "", "b" * LONGEST_LABEL):
        name_recording(path, name)
        recording = Recording(path)
        assert recording.facts["label"] == {"before\x9b the\nrun": "before the run"}.get(name, name)
        recording.close()
    assert read_all(path) == ticks
    assert [each.name for each in tmp_path.iterdir()] == ["a.ptop"]


def test_a_file_that_is_no_recording_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.ptop"
    path.write_text("a diary")
    with pytest.raises(RecordingError):
        name_recording(path, "mine")
    assert path.read_text() == "a diary"


SAVER = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from snapshot_samples import snapshot
from prodtop.engine.protocol.errors import ProdtopError
from prodtop.engine.records.snapshot import save_snapshot
from prodtop.engine.records.snapshot_files import name_snapshot
folder = Path({folder!r})
try:
    for number in range({count}):
        path = save_snapshot(snapshot(text="x" * {size}), "<svg>" + "y" * {size}, folder)
        name_snapshot(path, "named" * 20)
        print("saved", path.name, flush=True)
except ProdtopError as error:
    print(error, flush=True)
"""


def saver(folder: Path, *, count: int, size: int = 10) -> str:
    paths = [path for path in sys.path if "tests" in path]
    return SAVER.format(paths=paths, folder=str(folder), count=count, size=size)


def test_two_processes_save_and_name_in_one_folder(tmp_path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", saver(tmp_path, count=20)]) for _ in range(2)
    ]
    assert [child.wait() for child in children] == [0, 0]
    paths = list_snapshots(tmp_path)
    assert len(paths) == 40
    assert {load_snapshot(path).label for path in paths} == {"named" * 20}
    assert len(list(tmp_path.iterdir())) == 80


def test_kill_9_at_any_time_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    saved: set[str] = set()
    for lines in (1, 2, 4):
        with subprocess.Popen(
            [sys.executable, "-c", saver(tmp_path, count=10_000)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            saved |= {child.stdout.readline().split()[1] for _ in range(lines)}
            child.kill()
    paths = list_snapshots(tmp_path)
    assert saved <= {path.name for path in paths}
    for path in paths:
        # The last one may not have got its name any more.
        assert load_snapshot(path).label in ("named" * 20, "before lunch")
        assert path.with_suffix(".svg").exists()


def test_naming_while_another_names_keeps_the_file_whole(tmp_path: Path) -> None:
    path = save_snapshot(snapshot(), "", tmp_path)
    names = [f"name {number}" for number in range(8)]
    threads = [threading.Thread(target=name_snapshot, args=(path, name)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert load_snapshot(path).label in names
    assert [each.suffix for each in sorted(tmp_path.iterdir())] == [".json", ".svg"]


ON_A_DISK = """
mount -t tmpfs -o size={size} none {folder} || exit 77
{python} -c "$SAVER"
mount -o remount,ro {folder} || exit 77
{python} -c "$SAVER"
cp -r {folder} {kept}
"""


def on_a_disk_of_its_own(tmp_path: Path, size: str, *, count: int) -> tuple[list[str], Path]:
    """Save on a small disk, and then on the same made read-only."""
    folder, kept = tmp_path / "disk", tmp_path / "kept"
    folder.mkdir()
    script = ON_A_DISK.format(size=size, folder=folder, kept=kept, python=sys.executable)
    code = saver(folder, count=count, size=60_000)
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "SAVER": code},
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no mounts of one's own here: {done.stderr.strip()[:100]}")
    return (done.stdout + done.stderr).splitlines(), kept


def test_full_and_read_only_disks_lose_nothing_and_say_what_happened(tmp_path: Path) -> None:
    said, kept = on_a_disk_of_its_own(tmp_path, "600k", count=50)
    saved = [line.split()[1] for line in said if line.startswith("saved")]
    problems = [line for line in said if not line.startswith("saved")]
    assert len(saved) > 1
    assert len(problems) == 2, said
    assert "No space left on device" in problems[0]
    assert "Read-only file system" in problems[1]
    assert all(line.startswith("cannot write") for line in problems)
    for path in list_snapshots(kept):
        # The last may have found no room for its name.
        assert load_snapshot(path).label in ("named" * 20, "before lunch")
    assert set(saved) <= {path.name for path in list_snapshots(kept)}
    assert not list(kept.glob(".prodtop-*"))


def test_the_file_of_this_version_opens_in_every_later_one() -> None:
    """Golden files: the first schema without its screen, and as it is since."""
    golden = Path(__file__).parent / "golden"
    paths = sorted(golden.glob("snapshot-schema-*.json"))
    assert len(paths) >= 2
    assert SCHEMA_VERSION == 1
    old, whole = (load_snapshot(path) for path in paths[:2])
    assert old.screen is None
    assert old.comparison is not None
    assert whole.screen is not None
    assert whole.plan is not None
    assert whole.label == "golden"
