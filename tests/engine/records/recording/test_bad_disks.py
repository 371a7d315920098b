"""Recording while things go wrong for real: killed processes, full and read-only disks, rivals."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prodtop.engine.records.recording.reader import Recording
from recording_samples import read_all

CHILD = Path(__file__).parents[3] / "recording_child.py"
PATHS = os.pathsep.join(str(CHILD.parent / part) for part in ("", "tui"))

SMALL_DISK = """
mount -t tmpfs -o size=600k none {folder} || exit 77
{python} {child} {folder}/a.ptop 700 0.003
cp -r {folder} {kept}
"""
READ_ONLY_DISK = """
mount -t tmpfs -o size=9m,ro none {folder} || exit 77
{python} {child} {folder}/a.ptop 4 0.01
echo ended with $?
"""


@contextmanager
def running(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    child = subprocess.Popen(
        [sys.executable, str(CHILD), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": PATHS},
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                stream.close()


def begin(child: "subprocess.Popen[str]") -> Path:
    """Let it record; returns the file."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("go\n")
    child.stdin.flush()
    return Path(child.stdout.readline().strip())


def test_all_but_the_last_second_outlives_kill_9(tmp_path: Path) -> None:
    with running(tmp_path / "a.ptop", 10_000, 0.02) as child:
        path = begin(child)
        assert child.stdout is not None
        shown: dict[int, float] = {}
        while len(shown) < 80:
            shown[int(child.stdout.readline())] = time.monotonic()
        os.kill(child.pid, signal.SIGKILL)
        killed_s = time.monotonic()
    assert path.with_name("a.ptop-wal").exists(), "it was killed, and not closed"
    ticks = read_all(path)
    numbers = [tick.frame.sequence for tick in ticks if tick.frame is not None]
    assert numbers == list(range(1, len(numbers) + 1))
    older = [number for number, shown_s in shown.items() if killed_s - shown_s > 1.0]
    assert older
    assert len(numbers) >= max(older)
    assert all(len(tick.ended) == 2 for tick in ticks)


def test_the_file_is_its_owners_alone_also_beside_it(tmp_path: Path) -> None:
    with running("-", 10_000, 0.02) as child:
        path = begin(child)
        assert child.stdout is not None
        while int(child.stdout.readline()) < 40:
            pass
        files = list(path.parent.iterdir())
        assert {file.suffix for file in files} == {".ptop", ".ptop-wal", ".ptop-shm"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_two_processes_never_write_one_file(tmp_path: Path) -> None:
    """Both begin at once, in one folder."""
    with running("-", 30, 0.01) as one, running("-", 30, 0.01) as other:
        for child in (one, other):
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        outputs = [child.stdout.read() for child in (one, other) if child.stdout is not None]
    paths = [Path(output.splitlines()[0]) for output in outputs]
    assert len(set(paths)) == 2
    assert [len(read_all(path)) for path in paths] == [30, 30]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(
        path.name for path in paths
    )


def test_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.ptop"
    path.write_text("a diary")
    with running(path, 30, 0.01) as child:
        assert (
            child.communicate("go\n")[1].strip().endswith("a recording is never written over one")
        )
        assert child.returncode == 1
    assert path.read_text() == "a diary"
    assert list(tmp_path.glob("a.ptop*")) == [path]


def on_a_disk_of_its_own(script: str, tmp_path: Path) -> tuple[list[str], Path]:
    """Run a script in a mount namespace; returns what it printed, and a copy of the disk."""
    folder, kept = tmp_path / "disk", tmp_path / "kept"
    folder.mkdir()
    filled = script.format(folder=folder, kept=kept, python=sys.executable, child=CHILD)
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", filled],
        input="go\n",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": PATHS},
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no mounts of one's own here: {done.stderr.strip()[:100]}")
    return (done.stdout + done.stderr).splitlines(), kept


def test_a_full_disk_ends_the_recording_and_not_the_screen(tmp_path: Path) -> None:
    said, kept = on_a_disk_of_its_own(SMALL_DISK, tmp_path)
    faults = [line for line in said if line.startswith("fault")]
    assert len(faults) == 1
    assert "recording has stopped, the disk is full: what came before is in" in faults[0]
    assert "700" in said, "the screen got all polls"
    assert said[-1] == "closed"
    ticks = read_all(kept / "a.ptop")
    numbers = [tick.frame.sequence for tick in ticks if tick.frame is not None]
    assert numbers == list(range(1, len(numbers) + 1))
    assert numbers


def test_a_read_only_disk_is_one_line(tmp_path: Path) -> None:
    said, _ = on_a_disk_of_its_own(READ_ONLY_DISK, tmp_path)
    assert said == [
        "ended with 1",
        f"cannot record to {tmp_path}/disk/a.ptop: Read-only file system",
    ]


def test_a_process_that_may_write_no_more_says_so_and_goes_on(tmp_path: Path) -> None:
    """As where a quota is reached, in a place where nothing can be mounted."""
    command = (
        f"ulimit -f 400; trap '' XFSZ; exec {sys.executable} {CHILD} {tmp_path}/a.ptop 500 0.005"
    )
    done = subprocess.run(
        ["sh", "-c", command], input="go\n", capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": PATHS},
    )  # fmt: skip
    said = done.stdout.splitlines()
    faults = [line for line in said if line.startswith("fault")]
    assert len(faults) == 1, done.stderr
    assert "recording has stopped" in faults[0]
    assert said[-1] == "closed"
    recording = Recording(tmp_path / "a.ptop")
    assert recording.last_tick > 20
    recording.close()
