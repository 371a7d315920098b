"""`prodtop trace` and `--trace`, through real workers on a tiny model."""

import json
from pathlib import Path

import pytest
from prodtop.engine.traces.trace_file import read_trace
from prodtop.tui.commands.main import run
from trace_samples import HASHED

CPU = ["--device", "cpu", "--threads", "1"]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "h.jsonl"
    path.write_bytes(HASHED)
    return path


def test_show_tells_what_is_in_it(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["trace", "show", str(trace)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "h.jsonl: Mooncake JSONL"
    assert "  requests        4" in lines
    assert "  shared prefixes 45.9%, in 512-token blocks" in lines
    assert any(line.startswith("prompt   558") for line in lines)
    assert run(["trace", "show", str(trace), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["entries"], shown["output_tokens"]["total"]) == (4, 14)


def test_bench_plays_a_trace_in_every_cell(
    trace: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bench", "--model", str(tiny_folder), *CPU, "--trace", str(trace), "--json"]
    assert run([*arguments, "--trace-speed", "10", "--strategy", "continuous,cached"]) == 0
    printed = capsys.readouterr()
    cells = [json.loads(line) for line in printed.out.splitlines()]
    assert [cell["requests"] for cell in cells] == [4, 4]
    for cell in cells:
        assert cell["failed"] == cell["rejected"] == 0
        assert cell["trace"]["name"] == "h.jsonl"
        assert cell["dispatch_ms"]["p50"] <= cell["dispatch_ms"]["p99"] < cell["e2e_ms"]["p99"]
    (digest,) = {cell["output_sha256"] for cell in cells}
    assert digest
    # The tiny model's context is shorter than the prompts: what was cut is counted and said.
    clipped = {cell["trace"]["clipped_prompts"] for cell in cells}
    assert clipped == {3}
    assert "of 3 of 4 requests the prompt is cut" in printed.err


def test_what_is_served_is_recorded_until_the_trace_ends(
    tiny_folder: Path, tmp_path: Path, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.jsonl"
    arguments = ["--model", str(tiny_folder), *CPU, "--trace", str(trace), "--trace-speed", "10"]
    # Without a duration: until the trace has been served.
    assert run(["trace", "record", str(own), *arguments, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["entries"]) == ("own.jsonl", 4)
    assert [each.output_tokens for each in read_trace(own).entries()] == [2, 3, 4, 5]
    assert own.stat().st_mode & 0o777 == 0o600
