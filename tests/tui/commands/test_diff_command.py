"""`prodtop diff` and `prodtop snapshot diff` over real files, with their exit codes."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from prodtop.engine.files.paths import recordings_dir
from prodtop.engine.records.diff.diff import Diff
from prodtop.engine.records.snapshot import save_snapshot
from prodtop.tui.commands.main import run
from recording_samples import recorded_session
from snapshot_samples import snapshot

CURVE = [(float(second), 100.0 + second % 7) for second in range(60)]
SLOWER = [(at, value / 2) for at, value in CURVE]


@pytest.fixture
def saved() -> list[Path]:
    """Two snapshots, the second half as fast and with another model."""
    first = snapshot(series={"decode_tok_s": CURVE})
    second = snapshot(series={"decode_tok_s": SLOWER}, versions={"prodtop": "0.2.0"})
    return [save_snapshot(each, "<svg/>") for each in (first, second)]


@pytest.fixture
def recorded() -> Path:
    path = recordings_dir() / "20261201-030000.ptop"
    path.parent.mkdir(parents=True)
    recorded_session(path, 60)
    return path


def test_two_snapshots_in_words(saved: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["snapshot", "diff", saved[0].stem, "latest"]) == 0
    printed = capsys.readouterr().out
    assert f"{saved[0].stem} → {saved[1].stem}: 1 worse" in printed
    assert "version prodtop" in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("tok/s")]
    assert line.endswith("worse")
    assert "−50.0 %" in line
    assert "block bootstrap" in printed


def test_as_json_and_as_html(
    saved: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "a.html"
    assert run(["diff", *map(str, saved), "--json", "--html", str(page)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == set(Diff.__struct_fields__)
    (speed,) = [each for each in found["changes"] if each["metric"] == "output_tok_s"]
    assert speed["verdict"] == "worse"
    assert speed["low"] < speed["new"] - speed["old"] < speed["high"]
    html = page.read_text()
    ElementTree.fromstring(html.split("\n", 1)[1])
    assert "http" not in html.replace("http://www.w3.org", "")
    assert "−50.0 %" in html


def test_two_parts_of_a_recording(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(["diff", "latest@0..24", f"{recorded.stem}@24..", "--fail-on", "ttfb_ms.p50>+5%"]) == 0
    )
    printed = capsys.readouterr().out
    assert "20261201-030000@0s..24s → 20261201-030000@24s..: " in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("strategy")]
    assert line.split(maxsplit=1)[1].replace("  ", "").strip().startswith("single")
    assert "continuous, then hybrid" in line
    assert "TTFB" in printed
    assert "E2E" in printed
    assert "ok  ttfb_p50_ms>+5%: TTFB p50" in printed


def test_a_rule_that_fails_ends_with_3(
    saved: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    names = [path.stem for path in saved]
    for command in (["diff"], ["snapshot", "diff"]):
        assert run([*command, *names, "--fail-on", "output_tok_s<-5%", "--fail-on", "mbu>+1%"]) == 3
        output = capsys.readouterr()
        assert "FAILED  output_tok_s<-5%" in output.out
        assert output.err.startswith("prodtop: 1 of 2 rules failed: tok/s 103 tok/s → 51.5 tok/s")
        assert run([*command, *names, "--fail-on", "output_tok_s<-60%"]) == 0
        capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["diff", "latest", "nothing"], "no snapshot and no recording 'nothing'"),
        (["diff", "2023", "latest"], "may be any of"),
        (["diff", "latest@1..2", "latest"], "is one moment: only recordings have parts"),
        (["diff", "latest", "latest", "--fail-on", "speed>1%"], "unknown metric 'speed'"),
        (["diff", "latest", "latest", "--fail-on", "ttft_ms.p95"], "cannot be read"),
        (["diff", "latest@5..1", "latest"], "ends before it begins"),
        (["snapshot", "diff", "latest", "nothing"], "no snapshot 'nothing'"),
    ],
)
@pytest.mark.usefixtures("saved")
def test_what_cannot_be_compared_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.usefixtures("saved")
def test_damaged_and_newer_files_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content, said in (
        ("a.json", b"{", "is no snapshot"),
        ("b.json", b'{"schema_version": 9}', "newer prodtop"),
        ("c.ptop", b"a diary", "is no recording"),
        ("d.ptop", b"", "no recording"),
    ):
        (tmp_path / name).write_bytes(content)
        assert run(["diff", str(tmp_path / name), "latest"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line


def test_a_page_that_cannot_be_written_is_one_line(
    saved: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diff", *map(str, saved), "--html", str(tmp_path / "no" / "a.html")]) == 1
    assert "cannot write" in capsys.readouterr().err
