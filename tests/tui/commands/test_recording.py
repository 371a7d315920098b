"""`prodtop record`, `replay` and `recording` on the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hostile_text import NAME
from prodtop.engine.files.paths import owned_folder, recordings_dir
from prodtop.engine.files.sqlite_file import create_locked
from prodtop.engine.records.export.formats import FORMATS
from prodtop.engine.records.recording.notes import notes_file
from prodtop.engine.records.recording.reader import Recording, RecordingError
from prodtop.tui.commands.live import with_usual_values
from prodtop.tui.commands.main import run
from recording_samples import recorded_session

Output = pytest.CaptureFixture[str]


@pytest.fixture
def kept() -> list[Path]:
    """Two recordings in the usual folder, the older first."""
    paths = [owned_folder(recordings_dir()) / f"2026113{n}-120000.ptop" for n in range(2)]
    for number, path in enumerate(paths):
        recorded_session(path, 3)
        os.utime(path, (number, number))
    return paths


def test_none_at_all_says_how_to_make_one(capsys: Output) -> None:
    assert run(["recording", "list"]) == 0
    assert "no recordings in" in capsys.readouterr().out


def test_the_list_shows_what_is_there_and_what_cannot_be_read(
    kept: list[Path], capsys: Output
) -> None:
    (recordings_dir() / "broken.ptop").write_text("no database")
    assert run(["recording", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("20261130-120000  00:00:03  qwen3-0.6b  NVIDIA H200  26 requests")
    assert "is no recording" in lines[2]
    assert run(["recording", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row.get("requests") for row in rows] == [26, 26, None]


@pytest.mark.parametrize(
    ("name", "number"), [("latest", 1), ("20261130", 0), ("20261131-120000.ptop", 1)]
)
def test_names_may_be_short(kept: list[Path], capsys: Output, name: str, number: int) -> None:
    assert run(["recording", "show", name]) == 0
    assert kept[number].stem in capsys.readouterr().out


def test_a_short_name_of_two_is_refused(kept: list[Path], capsys: Output) -> None:
    assert run(["recording", "show", "2026"]) == 2
    assert "may be any of 20261130-120000, 20261131-120000" in capsys.readouterr().err


def test_one_is_removed_with_what_is_beside_it(kept: list[Path], capsys: Output) -> None:
    beside = kept[0].with_name(kept[0].name + "-wal")
    beside.write_bytes(b"")
    notes_file(kept[0]).write_bytes(b'{"clock_s": 1001.0, "text": "the spike"}\n')
    assert run(["recording", "rm", "20261130"]) == 0
    assert sorted(recordings_dir().iterdir()) == [kept[1]]
    assert run(["recording", "rm", str(kept[1].parent.parent)]) == 2


def test_what_is_being_recorded_is_not_removed(capsys: Output) -> None:
    path = owned_folder(recordings_dir()) / "now.ptop"
    lock = create_locked(path)
    assert run(["recording", "rm", "now"]) == 2
    assert "is being recorded" in capsys.readouterr().err
    lock.close()
    assert run(["recording", "rm", "now"]) == 0
    assert not path.exists()


@pytest.mark.parametrize("kind", FORMATS)
def test_exports_go_to_standard_output_or_a_file(
    kept: list[Path], capsys: Output, tmp_path: Path, kind: str
) -> None:
    assert run(["recording", "export", "latest", "--format", kind]) == 0
    printed = capsys.readouterr().out
    out = tmp_path / "out"
    assert run(["recording", "export", "latest", "--format", kind, "--out", str(out)]) == 0
    assert out.read_text() == printed
    assert printed.count("\n") > 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["recording", "export", "latest", "--format", "x"], "unknown format 'x': choose from"),
        (
            ["recording", "export", "latest", "--format", "parquet"],
            "parquet is no text: give --out",
        ),
        (["recording", "show", "nothing"], "no recording 'nothing'"),
        (["replay", "nothing"], "a replay needs a terminal"),
        (["replay", "--speed", "1000"], "--speed must be from 0.1 to 100"),
        (["record", "--users", "2", "--rate", "3"], "exclude each other"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: list[str], said: str, capsys: Output) -> None:
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_no_name_of_a_file_takes_the_terminal_over(capsys: Output) -> None:
    recorded_session(owned_folder(recordings_dir()) / f"{NAME}.ptop", 1)
    for arguments in (["list"], ["show"], ["rm", "latest"]):
        assert run(["recording", *arguments]) == 0
        assert not set(capsys.readouterr().out) & set("\x1b\x07\x9b\u202e")


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (["--record"], ["--record="]),
        (["--record", "a.ptop"], ["--record", "a.ptop"]),
        (["--record", "--users", "3"], ["--record=", "--users", "3"]),
        (["--record", "bench"], ["--record=", "bench"]),
        (["--record=a"], ["--record=a"]),
        (["bench"], ["bench"]),
        (["attach", "a:1", "--probe"], ["attach", "a:1", "--probe=5"]),
        (["attach", "--probe", "a:1"], ["attach", "--probe=5", "a:1"]),
        (["attach", "--probe", "--record"], ["attach", "--probe=5", "--record="]),
        (["attach", "a:1", "--probe", "20"], ["attach", "a:1", "--probe", "20"]),
        (["attach", "a:1", "--probe", "-1"], ["attach", "a:1", "--probe", "-1"]),
        (["attach", "a:1", "--probe=2"], ["attach", "a:1", "--probe=2"]),
    ],
)
def test_some_options_may_stand_without_a_value(given: list[str], taken: list[str]) -> None:
    assert with_usual_values(given, {"bench"}) == taken


def has_frames(path: Path) -> bool:
    """Whether a recording has figures already; it is read while it is written."""
    try:
        recording = Recording(path)
    except RecordingError:
        return False
    ticks = list(recording.ticks(0))
    recording.close()
    return any(tick.frame is not None for tick in ticks)


def test_an_engine_is_recorded_without_a_screen_until_it_is_interrupted(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "prodtop.tui.commands.main", "record", "--users", "2",
         "--threads", "1", "--device", "cpu", "--out", str(tmp_path / "a.ptop")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    while child.poll() is None and not has_frames(tmp_path / "a.ptop"):
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, error = child.communicate()
    assert (child.returncode, error) == (0, "")
    assert out.strip() == str(tmp_path / "a.ptop")
    assert list(tmp_path.glob("a.ptop*")) == [tmp_path / "a.ptop"]
    assert has_frames(tmp_path / "a.ptop")


def test_a_replay_loads_no_torch() -> None:
    script = (
        "import sys, prodtop.tui.replay_app, prodtop.tui.commands.replay\n"
        "print({'torch', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
