"""A tokenizer that cannot be read within limits is refused in one line, and holds up nobody."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from prodtop.engine.model.loading import BUNDLED_FOLDER
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.text import tokenizer_trial
from prodtop.engine.text.tokenizer import CheckpointTokenizer
from vocabularies import byte_level, save

ROOM = 4000


def with_endless_normalizer(folder: Path, *, length: int, tokens: int) -> Path:
    """Each added token of `x…x` is normalized by a pattern whose time doubles with each `x`."""
    path = save(byte_level(), folder)
    file = json.loads(path.read_text())
    file["normalizer"] = {"type": "Replace", "pattern": {"Regex": "(x+x+)+y"}, "content": ""}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "special"), False)
    file["added_tokens"] += [
        {"id": 500 + n, "content": "x" * length + chr(0x4E00 + n), "normalized": True, **flags}
        for n in range(tokens)
    ]
    path.write_text(json.dumps(file))
    return path


def endless(folder: Path) -> Path:
    return with_endless_normalizer(folder, length=19, tokens=2000)


def test_one_that_takes_too_long_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = endless(tmp_path)
    monkeypatch.setattr(tokenizer_trial, "LOAD_LIMIT_S", 1)
    with pytest.raises(CheckpointError, match="takes more than 1 s to read") as caught:
        CheckpointTokenizer(path, ROOM)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_one_that_waits_for_ever_is_ended_by_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = endless(tmp_path)
    monkeypatch.setattr(tokenizer_trial, "WALL_FACTOR", 0.01)
    with pytest.raises(CheckpointError, match="takes more than 30 s to read"):
        CheckpointTokenizer(path, ROOM)
    assert not [child for child in psutil.Process().children() if _tries(child)]


def _tries(process: psutil.Process) -> bool:
    try:
        return tokenizer_trial.__name__ in process.cmdline()
    except psutil.Error:
        return False


def test_a_panic_of_the_library_is_named(tmp_path: Path) -> None:
    path = with_endless_normalizer(tmp_path, length=40, tokens=1)
    with pytest.raises(CheckpointError, match=r"not a tokenizer: .*retry-limit") as caught:
        CheckpointTokenizer(path, ROOM)
    assert "\n" not in str(caught.value)


def test_a_process_that_ends_by_itself_is_spoken_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CheckpointError, match=r"ends the process that reads it \(1\)"):
        CheckpointTokenizer(save(byte_level(), tmp_path), ROOM)


def test_a_file_is_tried_once_and_again_where_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(byte_level(), tmp_path)
    CheckpointTokenizer(path, ROOM)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    CheckpointTokenizer(path, ROOM)
    os.utime(path, ns=(1, 1))
    with pytest.raises(CheckpointError):
        CheckpointTokenizer(path, ROOM)


def test_what_ships_with_prodtop_needs_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    CheckpointTokenizer(BUNDLED_FOLDER / "tokenizer.json", 1 << 20)


def test_the_process_ends_with_its_parent(tmp_path: Path) -> None:
    parent = (
        "import sys; from pathlib import Path\n"
        "from prodtop.engine.text.tokenizer_trial import try_tokenizer\n"
        "try_tokenizer(Path(sys.argv[1]))\n"
    )
    command = [sys.executable, "-c", parent, str(endless(tmp_path))]
    with subprocess.Popen(command) as running:
        mine = psutil.Process(running.pid)
        while not (children := [child for child in mine.children() if _tries(child)]):
            assert running.poll() is None
        running.kill()
        running.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]
