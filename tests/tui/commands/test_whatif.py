"""`prodtop whatif`: a trace that was recorded, served again by a real engine."""

import json
from pathlib import Path

import pytest
from prodtop.engine.traces.mooncake import write_line
from prodtop.engine.traces.rows import UNTIMED, Timing
from prodtop.engine.traces.served import served
from prodtop.engine.traces.trace_file import parse_trace
from prodtop.tui.commands.main import run
from prodtop.tui.commands.whatif_planner import planned
from prodtop.tui.commands.whatif_table import rows

LINES = [(20 * n, 40, 4 + n % 3, [n % 2], Timing(15.0 + n, 60.0 + n, 8)) for n in range(6)]


Printed = pytest.CaptureFixture[str]


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "day.jsonl"
    path.write_bytes(b"".join(write_line(*line) for line in LINES))
    return path


def test_yours_stands_beside_what_is_served_here(recorded: Path, capsys: Printed) -> None:
    assert run(["whatif", str(recorded), "--strategy", "continuous,hybrid", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    yours, here = told["yours"], told["here"]
    assert [cell["strategy"] for cell in here] == ["continuous", "hybrid"]
    assert [cell["requests"] for cell in here] == [yours["requests"]] * 2 == [len(LINES)] * 2
    assert all(cell["failed"] == 0 for cell in here)
    assert yours["e2e_ms"]["mean"] == pytest.approx(62.5)
    assert yours["prefix_hit_rate"] == pytest.approx(8 / 40)
    # The same work: as many tokens in as many seconds.
    made = [cell["output_tok_s"] * cell["duration_s"] for cell in here]
    assert made == pytest.approx([sum(line[2] for line in LINES)] * 2)
    assert told["planner"] is None


def test_a_trace_that_does_not_tell_is_unknown_and_said(tmp_path: Path, capsys: Printed) -> None:
    path = tmp_path / "plain.jsonl"
    path.write_bytes(b"".join(write_line(*line[:4]) for line in LINES))
    assert run(["whatif", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "does not tell" in printed
    row = next(line for line in printed.splitlines() if line.startswith("TTFT mean"))
    assert row.split()[3] == "--"


def test_the_planner_is_asked_for_what_was_in_flight() -> None:
    trace = parse_trace(b"".join(write_line(*line) for line in LINES), "t")
    yours = served(trace)
    plan = planned("h100", "llama-3.1-8b", trace, yours)
    assert yours.mean_running is not None
    assert plan.in_flight - 1 < yours.mean_running <= plan.in_flight
    assert plan.tpot_ms is not None
    assert plan.e2e_ms == pytest.approx(plan.ttft_ms + plan.tpot_ms * 4)
    shown = {row[0]: row[1:] for row in rows(yours, [], plan)}
    assert shown["TPOT mean, ms"][-1] == f"{plan.tpot_ms:,.1f}"
    assert "failed" not in shown, "nobody knows it"


def test_rows_hold_only_what_is_known() -> None:
    trace = parse_trace(write_line(0, 8, 2, [0], UNTIMED), "t")
    assert rows(served(trace), [], None) == [["requests", "1"]]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--plan-model", "llama-3.1-8b"], "--plan-model goes with --gpu"),
        (["--gpu", "h100"], "give --plan-model"),
        (["--gpu", "all", "--plan-model", "7B"], "--gpu takes one type of GPU"),
        (["--gpu", "h100-nvlx", "--plan-model", "7B"], "h100"),
        (["--trace", "other.jsonl"], "--trace has no place here"),
        (["--trace-loop"], "--trace-loop has no place here"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    recorded: Path, arguments: list[str], reason: str, capsys: Printed
) -> None:
    assert run(["whatif", str(recorded), *arguments]) != 0
    said = capsys.readouterr().err
    assert reason in said
    assert len(said.strip().splitlines()) == 1


def test_an_empty_trace_and_a_broken_line_are_named(tmp_path: Path, capsys: Printed) -> None:
    empty, broken = tmp_path / "empty.jsonl", tmp_path / "broken.jsonl"
    empty.write_bytes(b"")
    broken.write_bytes(write_line(*LINES[0]) + b'{"timestamp": "x"}\n')
    for path, reason in ((empty, "is empty"), (broken, "line 2")):
        assert run(["whatif", str(path)]) != 0
        assert reason in capsys.readouterr().err
