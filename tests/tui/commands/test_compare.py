"""`prodtop compare` over a process that plays the worker, and once over the real one."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from child_scripts import write_child
from comparisons import around, cell, comparison, measured, result, sample
from frame_samples import frame
from prodtop.engine.client.local_engine import LocalEngine
from prodtop.engine.compare.kept import decode, encode
from prodtop.engine.protocol import ENCODER, PrecisionName
from prodtop.engine.protocol.options import WorkerOptions, to_argument
from prodtop.tui.commands import compare_measure
from prodtop.tui.commands.main import run

WORKER = """
def speed(spec):
    return {"single": 50.0, "hybrid": 100.0}.get(spec.strategies[0], 70.0) * SPEED

def measure(spec):
    strategy, precision = spec.strategies[0], spec.precisions[0]
    if precision == "int8":
        channel.send(CellSkipped(strategy=strategy, precision=precision, reason="no room for int8"))
    elif strategy == FAULTY:
        channel.send(Fault(message="prompts are too long", exit_code=2))
    else:
        changes = {"strategy": strategy, "precision": precision, "output_tok_s": speed(spec)}
        channel.send(msgspec.structs.replace(CELL, **changes))
    channel.send(BenchDone())

channel.send(FRAME)
benches = 0
while not channel.closed:
    select.select([channel], [], [])
    for command in channel.receive():
        if isinstance(command, Shutdown):
            sys.exit(0)
        if isinstance(command, RunBench):
            benches += 1
            if benches == HANG_AT:
                continue
            measure(command.spec)
"""

CELL = result(cell(), samples=[sample()] * 4)
SPEC = ("--requests", "4", "--repeats", "6", "--warmup", "0")


class FakeCompare:
    """Runs `prodtop compare` with a worker that a test can make slow, faulty or stuck."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self.options: list[WorkerOptions] = []

    def run(self, *arguments: str, faulty: str = "", speed: float = 1.0, hang_at: int = 0) -> int:
        constants = (
            "import msgspec\n"
            f"FRAME = msgspec.msgpack.decode({ENCODER.encode(frame())!r}, type=Frame)\n"
            f"CELL = msgspec.msgpack.decode({ENCODER.encode(CELL)!r}, type=CellResult)\n"
            f"FAULTY, SPEED, HANG_AT = {faulty!r}, {speed!r}, {hang_at!r}\n"
        )
        script = write_child(self.folder / "worker.py", constants + WORKER)

        def worker_command(options: WorkerOptions) -> list[str]:
            self.options.append(options)
            return [sys.executable, str(script), "--options", to_argument(options)]

        engine = functools.partial(LocalEngine, worker_command=worker_command)
        self._monkeypatch.setattr(compare_measure, "LocalEngine", engine)
        return run(["compare", *SPEC, *arguments])


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCompare:
    return FakeCompare(tmp_path, monkeypatch)


def test_cells_are_measured_until_they_are_narrow_and_kept(
    fake: FakeCompare, capsys: pytest.CaptureFixture[str]
) -> None:
    out = fake.folder / "kept.jsonl"
    arguments = ("--strategy", "single,hybrid", "--precision", "bf16,int8,fp8", "--out", str(out))
    assert fake.run(*arguments, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    states = [(each["cell"], each["repeats"], each["skipped"]) for each in found["cells"]]
    assert states == [
        ("single bf16", 6, None),
        ("hybrid bf16", 6, None),
        ("single int8", 0, "no room for int8"),
        ("hybrid int8", 0, "no room for int8"),
        ("single fp8", 0, "needs compute capability 8.9"),
        ("hybrid fp8", 0, "needs compute capability 8.9"),
    ]
    assert found["cells"][0]["metrics"]["output_tok_s"]["value"] == 50.0
    assert found["insights"][1]["cells"] == ["hybrid bf16"]
    kept = decode(out.read_bytes(), "out")
    assert [len(each.repeats) for each in kept.cells] == [6, 6, 0, 0, 0, 0]
    assert kept.cells[0].repeats[0].samples == CELL.samples


def test_what_the_device_cannot_run_says_so_however_early_measuring_ends(
    fake: FakeCompare, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--strategy", "single", "--precision", "bf16,fp8", "--budget", "1e-9")
    assert fake.run(*arguments, "--json") == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [(each["repeats"], each["skipped"]) for each in cells] == [
        (1, None),
        (0, "needs compute capability 8.9"),
    ]


def test_resuming_measures_only_what_is_missing_and_keeps_the_rest(
    fake: FakeCompare, capsys: pytest.CaptureFixture[str]
) -> None:
    out = fake.folder / "kept.jsonl"
    assert fake.run("--strategy", "single", "--out", str(out)) == 0
    assert fake.run("--strategy", "single", "--out", str(out)) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    # A worker that hangs at once measures nothing: there is nothing left to measure.
    assert fake.run("--strategy", "single", "--out", str(out), "--resume", hang_at=1) == 0
    assert fake.run("--strategy", "hybrid", "--out", str(out), "--resume") == 0
    kept = decode(out.read_bytes(), "out")
    assert {each.cell.strategy: len(each.repeats) for each in kept.cells} == {
        "single": 6, "hybrid": 6,
    }  # fmt: skip
    assert fake.run("--strategy", "hybrid", "--out", str(out), "--resume", "--max-seqs", "3") == 2
    assert "max_seqs 32" in capsys.readouterr().err


def test_ctrl_c_keeps_and_shows_what_was_measured(
    fake: FakeCompare, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = fake.folder / "kept.jsonl"

    def interrupt_when_stuck(seconds: float) -> None:
        if out.exists() and len(out.read_bytes().splitlines()) == 1 + 2 * 2:
            os.kill(os.getpid(), signal.SIGINT)

    wait = LocalEngine.wait

    def watched(self: LocalEngine, timeout_s: float) -> None:
        interrupt_when_stuck(timeout_s)
        wait(self, timeout_s)

    monkeypatch.setattr(LocalEngine, "wait", watched)
    # Two warm-up runs and a repeat for each of two cells, then another repeat of each.
    assert fake.run("--strategy", "single,hybrid", "--out", str(out), hang_at=9) == 130
    captured = capsys.readouterr()
    assert "hybrid fp32" in captured.out
    assert captured.err.splitlines()[-1].startswith("prodtop: cancelled")
    kept = decode(out.read_bytes(), "out")
    assert [len(each.repeats) for each in kept.cells] == [2, 2]


def test_a_cell_that_fails_is_shown_as_failed_and_the_others_are_measured(
    fake: FakeCompare, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fake.run("--strategy", "single,hybrid", faulty="single") == 1
    captured = capsys.readouterr()
    assert "FAILED: prompts are too long" in captured.out
    assert "1 cells failed: prompts are too long" in captured.err
    assert "6×" in captured.out


def test_a_slower_build_fails_the_rule_and_the_same_one_does_not(
    fake: FakeCompare, capsys: pytest.CaptureFixture[str]
) -> None:
    base = str(fake.folder / "base.jsonl")
    assert fake.run("--strategy", "hybrid", "--out", base) == 0
    rule = ("--strategy", "hybrid", "--against", base, "--fail-on", "output_tok_s<-5%")
    assert fake.run(*rule) == 0
    assert "ok   hybrid fp32: tok/s 100 tok/s → 100 tok/s" in capsys.readouterr().out
    assert fake.run(*rule, speed=0.9) == 3
    captured = capsys.readouterr()
    assert "FAIL hybrid fp32" in captured.out
    assert "1 of 1 rules failed" in captured.err
    assert fake.run(*rule, speed=0.97) == 0


NUMBERS = (
    "within",
    "budget",
    "ttft-ms",
    "ttfb-ms",
    "tpot-ms",
    "e2e-ms",
    "memory-gib",
    "min-quality",
)
BAD_INPUT = [
    *(((f"--{name}", text), f"--{name}") for name in NUMBERS for text in ("nan", "inf")),
    (("--against", "nowhere.jsonl"), "there is no such file"),
    (("--against", "."), "is a folder"),
    (("--against", "broken"), "broken:1: is no line of a comparison"),
    (("--against", "other", "--fail-on", "x"), "cannot be read"),
    (("--fail-on", "output_tok_s<-5%"), "needs --against"),
    (("--resume",), "--resume needs --out"),
    (("--from", "nowhere"), "there is no such file"),
    (("--from", "other", "--resume"), "measures nothing"),
    (("--quality", "broken"), "is no line of prodtop quality"),
    (("--export", "report.pdf"), ".csv, .json, .md, .html"),
    (("--export", "nowhere/report.md"), "cannot write --export"),
    (("--out", "nowhere/kept"), "cannot write --out"),
    (("--out", "broken", "--resume"), "broken:1:"),
    (("--metric", "speed"), "unknown metric 'speed'"),
    (("--sort", "speed"), "unknown metric 'speed'"),
    (("--users", "0"), "--users"),
    (("--users", "one"), "no list of numbers"),
    (("--rates", "1,-2"), "--rates must be a number above 0"),
    (("--rates", "1", "--users", "2"), "exclude each other"),
    (("--rate", "1", "--users", "2"), "exclude each other"),
    (("--vary", "seats=1"), "max-seqs=A,B or drafts=A,B"),
    (("--vary", "max-seqs=0"), "must be a number from 1"),
    (("--vary", "drafts=99"), "--vary drafts"),
    (("--vary", "drafts=1", "--vary", "drafts=2"), "stands there twice"),
    (("--strategy", "fast"), "unknown strategy"),
    (("--from", "other", "--against", "elsewhere"), "none of these cells"),
    (("--from", "other", "--baseline", "cached"), "no cell is named 'cached'"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD_INPUT)
def test_bad_input_is_one_line_before_anything_is_started(
    fake: FakeCompare,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(fake.folder)
    Path("broken").write_text("{\n")
    elsewhere = measured(cell(users=99), [1.0])
    Path("elsewhere").write_bytes(encode(comparison(elsewhere)))
    Path("other").write_bytes(encode(comparison(measured(cell(), [1.0]))))
    assert fake.run(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert fake.options == []


def test_a_baseline_of_other_work_is_refused_before_anything_is_measured(
    fake: FakeCompare, capsys: pytest.CaptureFixture[str]
) -> None:
    base = fake.folder / "base.jsonl"
    base.write_bytes(encode(comparison(measured(cell(), [1.0]))))
    for arguments, says in ((("--requests", "9"), "requests 4 and 9"), ((), "none of these cells")):
        # It would hang with the first bench.
        assert fake.run(*arguments, "--against", str(base), hang_at=1) == 2
        assert says in capsys.readouterr().err


def test_what_is_kept_answers_without_an_engine(
    fake: FakeCompare, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, pages = (
        fake.folder / "kept",
        [fake.folder / f"r.{name}" for name in ("html", "csv", "md")],
    )
    kept.write_bytes(
        encode(comparison(measured(cell("single"), around(50.0)), measured(cell(), around(90.0))))
    )
    quality = fake.folder / "quality"
    quality.write_text('{"kind":"level","precision":"bf16","ratio":{"value":2,"low":1,"high":3}}\n')
    asked = ("--from", str(kept), "--sort", "e2e_p95_ms", "--baseline", "single", "--recommend")
    exports = [part for page in pages for part in ("--export", str(page))]
    limits = ("--quality", str(quality), "--min-quality", "0.6")
    assert fake.run(*asked, *exports, *limits) == 0
    out = capsys.readouterr().out
    assert "recommended: none; no cell meets the wishes" in out
    assert "keeps 50.0 % of the quality, below 60.0 %" in out
    assert "(baseline)" in out
    assert all(page.read_text() for page in pages)
    assert "- highest throughput: hybrid bf16" in pages[2].read_text()
    assert fake.options == []


def test_the_loads_and_settings_reach_the_worker(fake: FakeCompare) -> None:
    arguments = ("--strategy", "hybrid", "--users", "1,2", "--vary", "max-seqs=4,64")
    out = fake.folder / "kept"
    more = ("--vary", "drafts=0,3", "--repeats", "1", "--seed", "5", "--out", str(out))
    assert fake.run(*arguments, *more) == 0
    (options,) = fake.options
    assert (options.max_seqs, options.idle, options.precision) == (64, True, None)
    kept = decode(out.read_bytes(), "out")
    found = {(each.cell.load.users, each.cell.max_seqs, each.cell.drafts) for each in kept.cells}
    assert found == {(users, n, d) for users in (1, 2) for n in (4, 64) for d in (0, 3)}
    assert {each.cell.load.seed for each in kept.cells} == {5}
    assert all(each.cell.load.ignore_eos for each in kept.cells)
    assert {each.cell.precision for each in kept.cells} == {PrecisionName.FP32}


def test_two_cells_of_a_tiny_model_end_to_end(tiny_folder: Path, tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("prodtop")
    options = ["--model", str(tiny_folder), "--device", "cpu", "--threads", "1"]
    work = ["--strategy", "single,hybrid", "--precision", "fp32", "--requests", "8", "--users", "4"]
    sizes = ["--prompt-tokens", "40", "--output-tokens", "6", "--repeats", "6", "--warmup", "0"]
    more = ["--vary", "max-seqs=3", "--out", str(tmp_path / "kept"), "--json", "--recommend"]
    done = subprocess.run(
        [command, "compare", *options, *work, *sizes, *more, "--e2e-ms", "60000"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    single, hybrid = (each["metrics"] for each in found["cells"])
    for each in (single, hybrid):
        assert each["output_tok_s"]["count"] == 6
        assert each["output_tok_s"]["confidence"] >= 0.95
        assert each["goodput_req_s"]["value"] == pytest.approx(each["req_s"]["value"])
        assert each["success_rate"]["value"] == 1.0
        assert each["mbu"] is None or each["mbu"]["value"] > 0
    assert single["peak_running"]["value"] == 1
    assert 1 < hybrid["peak_running"]["value"] <= 3
    assert single["batch_efficiency"]["value"] == 1.0
    assert found["recommendation"]["best"] is not None
    kept = decode((tmp_path / "kept").read_bytes(), "kept")
    for each in kept.cells:
        # The same seeded work, greedy: the same tokens each time, whatever the strategy.
        assert {r.output_sha256 for r in each.repeats} == {kept.cells[0].repeats[0].output_sha256}
        for repeat in each.repeats:
            assert repeat.samples is not None
            assert len(repeat.samples) == 8
            assert sum(s.output_tokens for s in repeat.samples) == 48
            span_s = max(s.end_s for s in repeat.samples)
            assert span_s == pytest.approx(repeat.duration_s, rel=0.05)
            assert max(s.e2e_ms or 0 for s in repeat.samples) <= span_s * 1e3 * 1.01


def test_ctrl_c_in_a_long_cell_keeps_the_cells_before_it(tiny_folder: Path, tmp_path: Path) -> None:
    """The second cell's requests come once in a hundred seconds."""
    out = tmp_path / "kept"
    command = Path(sys.executable).with_name("prodtop")
    options = ["--model", str(tiny_folder), "--device", "cpu", "--threads", "1"]
    work = ["--strategy", "hybrid", "--precision", "fp32", "--requests", "4", "--warmup", "0"]
    more = ["--rates", "1000,0.01", "--no-steady", "--repeats", "1", "--output-tokens", "4"]
    with subprocess.Popen(
        [command, "compare", *options, *work, *more, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not (out.exists() and len(out.read_bytes().splitlines()) == 2):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("prodtop: cancelled")
    assert "1000/s" in printed
    kept = decode(out.read_bytes(), "out")
    assert [len(each.repeats) for each in kept.cells] == [1, 0]


def test_results_of_another_device_are_not_resumed(
    fake: FakeCompare, capsys: pytest.CaptureFixture[str]
) -> None:
    out = fake.folder / "kept"
    arguments = ("--strategy", "hybrid", "--repeats", "2", "--out", str(out))
    assert fake.run(*arguments) == 0
    kept = decode(out.read_bytes(), "out")
    elsewhere = msgspec.structs.replace(CELL, device="cuda:0")
    cells = [msgspec.structs.replace(each, repeats=[elsewhere]) for each in kept.cells]
    before = encode(msgspec.structs.replace(kept, cells=cells))
    out.write_bytes(before)
    assert fake.run(*arguments, "--resume") == 1
    assert "measured with device cuda:0, and this is cpu" in capsys.readouterr().err
    assert out.read_bytes() == before
