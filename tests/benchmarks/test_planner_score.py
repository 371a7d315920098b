"""`planner_score.py`: every row scored or not, as JSON and as tables, whatever the cells hold."""

import contextlib
import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planner_score import main

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "planner_score.py"


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return output.out


COLUMNS = ["source", "model", "seq", "gpu", "num_gpus", "tp", "global_bs", "step_time_s"]


def runs_file(tmp_path: Path, rows: list[list[str]]) -> Path:
    file = tmp_path / "runs.csv"
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([COLUMNS, *rows])
    return file


RUNS = [
    ["one", "llama-3.1-8b", "8192", "H100", "8", "1", "64", "6.0"],
    ["one", "llama-3.1-8b", "8192", "H100", "16", "2", "128", "6.5"],
    ["two", "llama-3.1-70b", "8192", "H100", "64", "8", "64", "20"],
    ["two", "llama-3.1-70b", "8192", "abacus", "64", "8", "64", "20"],
    ["two", "llama-3.1-70b", "8192", "H100", "64", "8", "64", ""],
]


def test_score_lists_every_row_scored_or_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = json.loads(printed([str(runs_file(tmp_path, RUNS)), "--json"], capsys))
    rows, skipped, times = report["rows"], report["skipped"], report["time"]
    assert isinstance(rows, list)
    assert isinstance(skipped, list)
    assert isinstance(times, dict)
    assert sorted([one["row"] for one in (*rows, *skipped)]) == [1, 2, 3, 4, 5]
    assert [one["row"] for one in skipped] == [4, 5]
    assert "unknown GPU" in skipped[0]["reason"]
    errors = [abs(one["predicted"] / one["measured"] - 1) for one in rows]
    assert times["overall"]["rows"] == 3
    assert times["overall"]["mean"] == pytest.approx(sum(errors) / 3)
    assert times["sources"]["one"]["mean"] == pytest.approx(sum(errors[:2]) / 2)
    assert times["overall"]["baseline_mean"] is not None


def test_score_as_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = printed([str(runs_file(tmp_path, RUNS))], capsys)
    assert "baseline" in output
    assert "Not scored: 2" in output
    assert "unknown GPU 'abacus'" in output


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    cells=st.lists(
        st.lists(
            st.sampled_from(["", "8", "-1", "1e999", "nan", "llama-3.1-8b", "H100", "\x1b["]),
            min_size=len(COLUMNS),
            max_size=len(COLUMNS),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_no_table_of_runs_crashes_it(
    cells: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = runs_file(tmp_path_factory.mktemp("runs"), cells)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main([str(file), "--json"]) == 0
    report = json.loads(out.getvalue())
    found = {one["row"] for one in (*report["rows"], *report["skipped"])}
    assert found == set(range(1, len(cells) + 1))


def test_a_file_that_is_missing_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/nowhere/runs.csv"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert "/nowhere/runs.csv: cannot be read" in line


def test_it_runs_as_a_script(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(runs_file(tmp_path, RUNS)), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["time"]["overall"]["rows"] == 3
    refused = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "FILE.csv" in refused.stderr
