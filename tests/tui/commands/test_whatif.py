"""`prodtop whatif`: its columns and refusals, and one recording of a real server, replayed."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from bench_samples import CELL
from linked_engine import HOST
from prodtop.engine.attach.proxy.proxy import Proxy
from prodtop.engine.metrics.recorded import recorded_figures
from prodtop.engine.planner.cost.hardware import known_gpus
from prodtop.engine.protocol import CellSkipped, LoadSpec, PrecisionName, StrategyName, TraceSpec
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.shape.presets import preset
from prodtop.engine.traces.mooncake import write_line
from prodtop.engine.traces.rows import Measured, Row
from prodtop.tui.commands import whatif_output, whatif_run
from prodtop.tui.commands.main import run
from prodtop.tui.commands.whatif_columns import (
    LINES,
    here_column,
    planner_column,
    yours_column,
)
from prodtop.tui.commands.whatif_output import WhatIf, json_object, notes, parts, print_whatif
from prodtop.tui.commands.whatif_planner import Planned, planned
from prodtop.tui.commands.whatif_run import told_of
from served_engine import post, served_engine
from trace_samples import HASHED

TOLD = Measured(ttft_ms=2.0, tpot_ms=1.0, e2e_ms=50.0, cached_tokens=60, ok=True)
NAMES = [line.name for line in LINES]
COLUMNS = 80
REQUESTS, OUTPUT_TOKENS, PROMPT_TOKENS = 4, 8, 530


def recording(path: Path, requests: int = 4, *, measured: Measured | None = TOLD) -> Path:
    lines = [write_line(100 * n, 600, 10, [0, n + 1], measured) for n in range(requests)]
    path.write_bytes(b"".join(lines))
    return path


def found(
    path: Path, cells: int = 1, *, speed: float = 1.0, estimates: list[Planned] | None = None
) -> WhatIf:
    """What is printed of a trace whose replays gave `CELL`."""
    told = told_of(TraceSpec(path=str(path), speed=speed))
    names = list(StrategyName)
    results = [msgspec.structs.replace(CELL, strategy=names[n % len(names)]) for n in range(cells)]
    plans = estimates or []
    return WhatIf(
        summary=told.summary,
        speed=speed,
        unplayed=told.requests - len(told.trace),
        recorded=told.recorded,
        yours=yours_column(told.requests, told.recorded),
        here=[here_column(cell) for cell in results],
        planner=[planner_column(each) for each in plans],
        cells=list(results),
        planned=plans,
    )


def plan_of(path: Path, model: str, speed: float = 1.0) -> Planned:
    told = told_of(TraceSpec(path=str(path)))
    gpu, level = known_gpus()["h100-sxm"], PrecisionName.BF16
    return planned(gpu, preset(model), level, told.summary, speed=speed, most_requests=32)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whatif_output, "PIPED_WIDTH", COLUMNS)


def shown(what: WhatIf, capsys: pytest.CaptureFixture[str]) -> list[str]:
    print_whatif(what)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= COLUMNS for line in lines)
    return lines


def test_every_line_is_in_every_column_with_its_ratio(tmp_path: Path) -> None:
    what = found(recording(tmp_path / "t.jsonl"))
    assert what.recorded is not None
    (here,) = what.here
    assert here.figures["ttft_p50_ms"] == 4.0
    assert what.yours.figures["ttft_p50_ms"] == pytest.approx(2.0)
    assert what.yours.figures["prefix_hit_rate"] == pytest.approx(0.1)
    ratios = {line.name: here.ratio(line, what.yours) for line in LINES}
    assert ratios["ttft_p50_ms"] == pytest.approx(2.0)
    assert ratios["output_tok_s"] == pytest.approx(CELL.output_tok_s / (40 / 0.35))
    assert ratios["requests"] is ratios["failed"] is ratios["prefix_hit_rate"] is None
    # What a line shows is known to yours and to here: nothing is missing by its name alone.
    assert {name for name in NAMES if what.yours.figures.get(name) is None} == set()
    assert {name for name in NAMES if here.figures.get(name) is None} == {"prefix_hit_rate"}


def test_a_trace_that_does_not_tell_shows_no_figure_of_yours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    what = found(recording(tmp_path / "t.jsonl", measured=None))
    rows = {line[:16].strip(): line[16:].split() for line in shown(what, capsys)[4:]}
    assert rows["requests"] == ["4", "4"]
    for line in LINES[1:]:
        assert rows[line.label][0] == "--"
    assert rows["TTFT p50 ms"] == ["--", "4.00", "--"]
    assert any("the trace does not say how its requests went" in each for each in notes(what))
    yours = json_object(what)["yours"]
    assert isinstance(yours, dict)
    assert {name for name in NAMES if yours[name] is not None} == {"requests"}


@pytest.mark.parametrize("cells", range(1, 7))
def test_whatever_is_asked_fits_80_columns_and_is_shown_once(
    cells: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recording(tmp_path / "t.jsonl")
    what = found(path, cells, estimates=[plan_of(path, "llama-3.1-8b")] * 2)
    columns = [*what.here, *what.planner]
    assert [each for part in parts(columns, COLUMNS) for each in part] == columns
    text = "\n".join(shown(what, capsys))
    for cell in what.cells:
        assert text.count(f" {cell.strategy.value}") >= 1
    assert text.count("requests  ") == len(parts(columns, COLUMNS))


def test_the_planner_stands_at_the_traces_rate_and_lengths(tmp_path: Path) -> None:
    path = recording(tmp_path / "t.jsonl")
    what = found(path, estimates=[plan_of(path, "llama-3.1-8b")])
    (column,) = what.planner
    assert column.figures["output_tok_s"] == pytest.approx(100.0), "10 requests a second, 10 tokens"
    assert column.figures["ttft_mean_ms"]
    assert column.figures.get("ttft_p95_ms") is None, "it knows means alone"
    (note,) = notes(what)
    assert "at 10.0 req/s" in note
    assert "600 prompt and 10 output tokens" in note
    # A hundred thousand times as fast, nothing keeps up.
    over = plan_of(path, "llama-3.1-8b", speed=1e5)
    crowded = planner_column(over)
    assert crowded.figures["ttft_mean_ms"] is None
    assert over.result is not None
    assert crowded.figures["output_tok_s"] == over.result.full.tokens_s
    assert "wait ever longer" in notes(found(path, estimates=[over]))[0]


def test_a_trace_without_a_rate_has_no_plan(tmp_path: Path) -> None:
    path = recording(tmp_path / "t.jsonl", requests=1)
    plan = plan_of(path, "llama-3.1-8b")
    assert plan.result is None
    assert not any(planner_column(plan).figures.values())
    assert "has no rate" in notes(found(path, estimates=[plan]))[0]


def test_what_failed_or_was_skipped_is_said_below(tmp_path: Path) -> None:
    path = recording(tmp_path / "t.jsonl")
    lost = write_line(150, 600, 0, [0, 9], Measured(e2e_ms=1.0, ok=False))
    path.write_bytes(path.read_bytes() + lost + write_line(160, 600, 9, [0, 8]))
    what = found(path)
    assert what.yours.figures["requests"] == 6
    assert what.yours.figures["failed"] == 1
    assert notes(what) == [
        "yours is of the 5 of 6 requests whose lines say how they went",
        "1 request of yours failed before the first token: not played here",
    ]
    reason = "no fp8 here"
    skipped = CellSkipped(strategy=StrategyName.SINGLE, precision=PrecisionName.FP8, reason=reason)
    what = replace(what, cells=[*what.cells, skipped])
    assert notes(what)[-1] == "single fp8 skipped: no fp8 here"
    assert json_object(what)["skipped"] == [
        {"strategy": "single", "precision": "fp8", "reason": reason}
    ]


def test_yours_counts_requests_without_a_measurement() -> None:
    rows = [Row(0.0, 5, 5, None, TOLD), Row(1.0, 5, 5)]
    column = yours_column(2, recorded_figures(rows))
    assert column.figures["requests"] == 2


REFUSED: dict[str, tuple[bytes, list[str], str]] = {
    "an empty trace": (b"", [], "is empty"),
    "no request": (b'{"timestamp":0,"input_length":3,"output_length":0}\n', [], "no request"),
    "an unreadable line": (HASHED + b'{"timestamp": "soon"}\n', [], "line 5"),
    "times that cannot be": (
        b'{"timestamp":0,"input_length":3,"output_length":1,"ttft_ms":-1}\n',
        [],
        "line 1 ttft_ms of -1 is out of bounds",
    ),
    "no trace at all": (b"hello\n", [], "is no beginning of a trace"),
    "an unknown GPU": (HASHED, ["--gpu", "abacus"], "--gpu"),
    "an unknown strategy": (HASHED, ["--strategy", "fast"], "unknown strategy"),
    "a start behind its end": (HASHED, ["--trace-start", "9"], "has no request after 9 s"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_one_line_before_an_engine_starts(
    case: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("an engine was started")

    monkeypatch.setattr(whatif_run, "LocalEngine", never)
    data, arguments, words = REFUSED[case]
    path = tmp_path / "t.jsonl"
    path.write_bytes(data)
    assert run(["whatif", str(path), *arguments]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert printed.err.count("\n") == 1
    assert words in printed.err


async def _ask(port: int, number: int) -> bytes:
    """One stream, to its end; every prompt begins with the same 512 tokens."""
    body = {
        "prompt": [*(6 + at % 80 for at in range(PROMPT_TOKENS - 1)), 5 + number],
        "max_tokens": OUTPUT_TOKENS if number else "none",
        "ignore_eos": True,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(post("/v1/completions", json.dumps(body).encode()))
    answer = b""
    while b"[DONE]" not in answer and b'"error"' not in answer:
        piece = await reader.read(1 << 16)
        if not piece:
            break
        answer += piece
    writer.close()
    return answer


def test_what_a_real_server_did_stands_beside_the_replay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "day.jsonl"
    options = WorkerOptions(device="cpu", threads=1, load=LoadSpec(paused=True))
    with served_engine(options, ServerOptions(port=0)) as engine:
        proxy = Proxy(f"http://{HOST}:{engine.port}", 0, trace_path=path)
        proxy.start()
        try:
            for number in range(REQUESTS + 1):
                answer = asyncio.run(_ask(proxy.port, number))
                assert (b"[DONE]" in answer) == bool(number)
        finally:
            proxy.close()
    arguments = ["--device", "cpu", "--threads", "1", "--warmup", "0", "--gpu", "h100-sxm"]
    strategies = ["--strategy", "continuous,hybrid"]
    assert run(["whatif", str(path), *arguments, *strategies, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    yours = shown["yours"]
    assert (yours["requests"], yours["failed"]) == (REQUESTS + 1, 1)
    assert 0 < yours["ttft_mean_ms"] < yours["e2e_mean_ms"]
    assert 0 < yours["ttft_p50_ms"] <= yours["ttft_p95_ms"] <= yours["e2e_p95_ms"]
    assert yours["prefix_hit_rate"] > 0
    assert [each["cell"]["strategy"] for each in shown["here"]] == ["continuous", "hybrid"]
    for each in shown["here"]:
        assert (each["requests"], each["failed"]) == (REQUESTS, 0)
        cell = each["cell"]
        tokens = cell["output_tok_s"] * cell["duration_s"]
        assert tokens == pytest.approx(REQUESTS * OUTPUT_TOKENS)
        ratio = each["over_yours"]["ttft_mean_ms"]
        assert ratio == pytest.approx(each["ttft_mean_ms"] / yours["ttft_mean_ms"])
    assert shown["here"][1]["prefix_hit_rate"] > 0
    (plan,) = shown["planner"]
    assert (plan["mean_prompt_tokens"], plan["mean_output_tokens"]) == (
        PROMPT_TOKENS,
        OUTPUT_TOKENS,
    )
    assert plan["keeps_up"]
    assert plan["rate_req_s"] == pytest.approx(shown["trace"]["requests_per_s"])
