"""`prodtop snapshot list` and `show` over real files."""

import json
from pathlib import Path

import msgspec
import pytest
from prodtop.engine.files.paths import snapshots_dir
from prodtop.engine.records.snapshot import Snapshot, save_snapshot
from prodtop.tui.commands.main import run
from snapshot_samples import compared, quality, snapshot


@pytest.fixture
def saved() -> Path:
    return save_snapshot(snapshot(), "<svg/>")


def test_an_empty_list_says_how_to_fill_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["snapshot", "list"]) == 0
    assert "the key s in the live monitor saves one" in capsys.readouterr().out
    assert run(["snapshot", "list", "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_the_list_names_each_and_the_broken_ones_too(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (snapshots_dir() / "zz-broken.json").write_text("{")
    assert run(["snapshot", "list"]) == 0
    good, broken = capsys.readouterr().out.splitlines()
    assert good == f"{saved.stem}  tiny  a processor  123.4 tok/s  before lunch"
    assert broken.startswith("zz-broken  ")
    assert "is no snapshot" in broken


def test_the_list_as_json(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["snapshot", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "name": saved.stem,
        "saved": "2023-11-14T22:13:20+00:00",
        "model": "tiny",
        "device": "a processor",
        "strategy": "hybrid",
        "precision": "fp32",
        "decode_tok_s": 123.4,
        "label": "before lunch",
    }


@pytest.mark.parametrize("how", ["latest", "stem", "name", "path"])
def test_show_finds_it_by_any_name(
    saved: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = {"latest": "latest", "stem": saved.stem, "name": saved.name, "path": str(saved)}[how]
    assert run(["snapshot", "show", name, "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=Snapshot) == snapshot()


def test_show_in_words(
    saved: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert run(["snapshot", "show"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    shown = {line[0]: line[1].strip() for line in lines if len(line) == 2}
    assert shown["file"] == str(saved)
    assert shown["decode"] == "123.4 tok/s"
    assert shown["TTFT"].split() == ["11.0", "20.0", "21.0", "12.0", "7"]
    assert shown["TPOT"].split() == ["--", "--", "--", "--", "0"]
    assert shown["versions"] == "prodtop 0.1.0"
    assert shown["batched"].split()[:5] == ["int8", "3", "users", "123", "--"]
    assert ">= 81 ms" in shown["batched"]


def test_show_prints_the_levels_and_the_cells_as_they_stand(
    capsys: pytest.CaptureFixture[str],
) -> None:
    both = snapshot(quality=quality(), comparison=compared())
    save_snapshot(both, "<svg/>")
    assert run(["snapshot", "show"]) == 0
    printed = capsys.readouterr().out
    assert "14,025 tokens scored, against bf16" in printed
    assert "compared, 1 of 3 cells measured, 4 requests a repeat, 8 users:" in printed
    lines = printed.splitlines()
    (first,) = [line for line in lines if line.startswith("hybrid bf16")]
    assert "101 ±" in first
    assert first.endswith("2×")
    assert any(line.endswith("FAILED: the worker died") for line in lines)
    assert any(line.startswith("hybrid int8") and line.endswith("0×") for line in lines)
    assert run(["snapshot", "show", "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=Snapshot) == both


def test_a_file_that_is_no_snapshot_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"schema_version": 99}')
    assert run(["snapshot", "show", str(other)]) == 2
    assert "written by a newer prodtop" in capsys.readouterr().err
