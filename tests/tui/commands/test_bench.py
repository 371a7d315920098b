"""`prodtop bench` over a process that plays the worker and measures nothing."""

import functools
import json
import os
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from bench_samples import CELL
from child_scripts import write_child
from frame_samples import frame
from prodtop.engine.client.local_engine import LocalEngine
from prodtop.engine.protocol import (
    ENCODER,
    CellResult,
    Fault,
    PrecisionName,
    SpeculationSpec,
    StrategyName,
)
from prodtop.engine.protocol.options import WorkerOptions, to_argument
from prodtop.tui.commands import bench
from prodtop.tui.commands.main import run

DESIGNED_FIELDS = [
    "model",
    "device",
    "strategy",
    "precision",
    "requests",
    "failed",
    "duration_s",
    "output_tok_s",
    "total_tok_s",
    "req_s",
    "ttft_ms",
    "ttfb_ms",
    "tpot_ms",
    "itl_ms",
    "e2e_ms",
    "queue_ms",
    "batch_waste",
    "response_hit_rate",
    "prefix_hit_rate",
    "memory",
    "mbu",
    "mfu",
    "energy_j",
    "versions",
]

WORKER = """
def measure(spec):
    for strategy in spec.strategies:
        for precision in spec.precisions:
            channel.send(Progress(what=f"{strategy} {precision}", fraction=0.5))
            if precision == "fp8":
                channel.send(CellSkipped(strategy=strategy, precision=precision, reason="no fp8"))
                continue
            changes = {"strategy": strategy, "precision": precision, "requests": spec.requests}
            channel.send(msgspec.structs.replace(CELL, **changes))
    channel.send(BenchDone())

begin()
while not channel.closed:
    select.select([channel], [], [])
    for command in channel.receive():
        if isinstance(command, Shutdown):
            sys.exit(0)
        if isinstance(command, RunBench):
            print(msgspec.json.encode(command.spec).decode(), flush=True)
            measure(command.spec)
"""

SEND_FRAME = "def begin(): channel.send(FRAME)\n"


class FakeBench:
    """Runs `prodtop bench` with a worker whose beginning a test can replace."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self.options: list[WorkerOptions] = []

    def run(self, *arguments: str, begin: str = SEND_FRAME, cell: CellResult = CELL) -> int:
        samples = (
            "import msgspec\n"
            f"FRAME = msgspec.msgpack.decode({ENCODER.encode(frame())!r}, type=Frame)\n"
            f"CELL = msgspec.msgpack.decode({ENCODER.encode(cell)!r}, type=CellResult)\n"
        )
        script = write_child(self._folder / "worker.py", samples + begin + WORKER)

        def worker_command(options: WorkerOptions) -> list[str]:
            self.options.append(options)
            return [sys.executable, str(script), "--options", to_argument(options)]

        engine = functools.partial(LocalEngine, worker_command=worker_command)
        self._monkeypatch.setattr(bench, "LocalEngine", engine)
        return run(["bench", *arguments])

    def spec(self) -> dict[str, object]:
        """The spec that the worker was given: it prints it to its log."""
        (log,) = self._folder.glob("xdg-state/**/worker.log")
        spec: dict[str, object] = msgspec.json.decode(log.read_text().splitlines()[-1])
        return spec


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBench:
    return FakeBench(tmp_path, monkeypatch)


def test_json_is_one_object_a_line_with_every_field(
    fake: FakeBench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fake.run("--strategy", "all", "--precision", "fp32,bf16", "--json") == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["strategy"], each["precision"]) for each in objects] == [
        (strategy, precision) for strategy in StrategyName for precision in ("fp32", "bf16")
    ]
    assert set(DESIGNED_FIELDS) | {
        "output_sha256",
        "draft_acceptance_rate",
        "rejected",
    } == set(objects[0])
    assert objects[0]["ttft_ms"] == {"mean": 5.0, "p50": 4.0, "p95": 9.0, "p99": 9.9}
    assert objects[0]["itl_ms"] is None


def test_the_options_reach_the_worker(fake: FakeBench) -> None:
    arguments = (
        "--strategy single,hybrid --precision bf16 --requests 7 --concurrency 3 --seed 5"
        " --prompt-tokens 10:20 --output-tokens 30 --zipf 0.5 --temperature 0.7 --ignore-eos"
        " --max-seqs 9 --context-tokens 99 --kv-gib 0.5 --speculate 6 --draft-model smaller"
        " --threads 1 --warmup 0 --model tiny --device cpu --load-format dummy"
    )
    assert fake.run(*arguments.split()) == 0
    (options,) = fake.options
    assert options == WorkerOptions(
        model="tiny",
        device="cpu",
        strategy=StrategyName.SINGLE,
        precision=PrecisionName.BF16,
        load=options.load,
        load_format="dummy",
        max_seqs=9,
        context_tokens=99,
        kv_gib=0.5,
        speculation=SpeculationSpec(drafts=6, draft_model="smaller"),
        threads=1,
        idle=True,
    )
    spec = fake.spec()
    assert (spec["strategies"], spec["precisions"]) == (["single", "hybrid"], ["bf16"])
    assert spec["requests"] == 7
    assert options.load == msgspec.convert(spec["load"], type(options.load))
    load = options.load
    assert (load.users, load.rate_per_s, load.seed, load.ignore_eos) == (3, None, 5, True)
    assert (load.prompt_tokens_min, load.prompt_tokens_max) == (10, 20)
    assert (load.output_tokens_min, load.output_tokens_max) == (30, 30)
    assert (load.zipf_exponent, load.temperature) == (0.5, 0.7)


def test_what_a_full_queue_rejected_is_told(
    fake: FakeBench, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = msgspec.structs.replace(CELL, requests=20_000, rejected=12_633)
    arguments = ("--rate", "9000", "--max-waiting", "50", "--max-waiting-mib", "3")
    assert fake.run(*arguments, "--requests", "20000", cell=cell) == 0
    printed = capsys.readouterr()
    assert "rejected" in printed.out.splitlines()[1]
    assert printed.out.splitlines()[2].endswith("12,633")
    assert (
        "continuous fp32: 12,633 of 20,000 requests were rejected: the queue was full"
        in printed.err
    )
    load = fake.options[0].load
    assert (load.rate_per_s, load.max_waiting, load.max_waiting_mib) == (9000, 50, 3)


def test_without_a_precision_the_devices_own_is_measured(fake: FakeBench) -> None:
    assert fake.run() == 0
    assert fake.options[0].precision is None
    assert fake.spec()["precisions"] == ["fp32"]


def test_all_precisions_skip_what_the_device_lacks(
    fake: FakeBench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fake.run("--precision", "all", "--json") == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == len(PrecisionName) - 1
    skipped = [line for line in printed.err.splitlines() if line.startswith("{")]
    assert [json.loads(line) for line in skipped] == [
        {"strategy": "continuous", "precision": "fp8", "skipped": "no fp8"}
    ]


def test_a_precision_asked_for_by_name_must_be_there(
    fake: FakeBench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fake.run("--precision", "fp32,fp8", "--json") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line == (
        "prodtop: precision fp8 cannot run on a processor: needs compute capability 8.9;"
        " choose from fp32, bf16"
    )


def test_the_table_shows_missing_figures_as_missing(
    fake: FakeBench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fake.run("--precision", "all") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("tiny on cpu")
    fp32 = next(line.split() for line in lines if "fp32" in line)
    assert fp32 == [
        "continuous",
        "fp32",
        "1,234.5",
        "2.00",
        "4.0",
        "9.0",
        "4.0",
        "9.0",
        "--",
        "25%",
        "--",
        "50%",
        "1.0",
        "0",
        "0",
    ]
    assert lines[-1] == "fp8 skipped: no fp8"


def test_the_file_holds_the_cells_as_json_lines(fake: FakeBench, tmp_path: Path) -> None:
    out = tmp_path / "cells.jsonl"
    assert fake.run("--precision", "all", "--out", str(out)) == 0
    cells = [json.loads(line) for line in out.read_text().splitlines()]
    assert [cell["precision"] for cell in cells] == ["fp32", "bf16", "fp16", "int8", "int4"]
    assert {cell["schema_version"] for cell in cells} == {1}
    assert out.stat().st_mode & 0o777 == 0o600


FALLS = """
def begin(): channel.send(FRAME)
cells = 0
send = channel.send
def limited(message):
    global cells
    cells += isinstance(message, CellResult)
    if cells > 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return send(message)
channel.send = limited
"""
"""A worker that dies before its third cell."""


@pytest.mark.parametrize("before", [None, b"yesterday's cells"])
def test_a_bench_that_is_cut_off_leaves_the_file_and_what_it_measured(
    fake: FakeBench, tmp_path: Path, before: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cells.jsonl"
    if before is not None:
        out.write_bytes(before)
    assert fake.run("--strategy", "all", "--out", str(out), begin=FALLS) == 1
    partial = tmp_path / "cells.jsonl.partial"
    assert (out.read_bytes() if out.exists() else None) == before
    assert len(partial.read_text().splitlines()) == 2
    assert f"kept in {partial}" in capsys.readouterr().err
    assert fake.run("--strategy", "all", "--out", str(out)) == 0
    assert len(out.read_text().splitlines()) == len(StrategyName)
    assert len(partial.read_text().splitlines()) == 2, "another bench's file stays"
    assert not (tmp_path / "cells.jsonl-2.partial").exists()


def test_cells_with_failed_requests_are_measured_cells(fake: FakeBench, tmp_path: Path) -> None:
    broken = msgspec.structs.replace(CELL, failed=2)
    out = tmp_path / "cells.jsonl"
    assert fake.run("--out", str(out), cell=broken) == 1
    assert json.loads(out.read_text())["failed"] == 2


@pytest.mark.parametrize("place", ["folder", "nowhere/cells.jsonl", "n" * 300])
def test_where_cells_cannot_be_written_nothing_is_measured(
    fake: FakeBench, tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    assert fake.run("--out", str(tmp_path / place)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prodtop: cannot write --out ")
    assert fake.options == []


@pytest.mark.parametrize("begin", [SEND_FRAME, FALLS])
def test_a_fifo_gets_the_cells_and_stays_one(fake: FakeBench, tmp_path: Path, begin: str) -> None:
    out = tmp_path / "fifo"
    os.mkfifo(out)
    received: list[str] = []
    reader = threading.Thread(target=lambda: received.append(out.read_text()), daemon=True)
    reader.start()
    complete = begin == SEND_FRAME
    assert fake.run("--strategy", "all", "--out", str(out), begin=begin) == (0 if complete else 1)
    reader.join()
    assert len(received[0].splitlines()) == (len(StrategyName) if complete else 2)
    assert out.is_fifo()
    assert not list(tmp_path.glob("*.partial"))


def test_a_full_device_is_told_once_all_is_measured(
    fake: FakeBench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fake.run("--out", "/dev/full") == 2
    assert "cannot write --out /dev/full: No space left" in capsys.readouterr().err
    assert Path("/dev/full").is_char_device()


def test_failed_requests_fail_the_command(
    fake: FakeBench, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = msgspec.structs.replace(CELL, failed=2)
    assert fake.run("--json", "--requests", "4", cell=broken) == 1
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 1
    assert "2 of 4 requests failed in continuous fp32" in printed.err.splitlines()[-1]


def test_a_fatal_fault_is_the_last_line_and_the_exit_code(
    fake: FakeBench, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = Fault(message="unknown model 'x': choose from bundled", fatal=True, exit_code=2)
    begin = f"def begin():\n    channel.send({fault!r})\n    sys.exit(2)\n"
    assert fake.run("--model", "x", begin=begin) == 2
    assert capsys.readouterr().err == "prodtop: unknown model 'x': choose from bundled\n"


def test_a_bench_that_the_worker_refuses_ends_with_its_reason(
    fake: FakeBench, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = Fault(message="prompts of 9999 tokens leave no room", exit_code=2)
    begin = f"def begin():\n    channel.send(FRAME)\n    channel.send({fault!r})\n"
    assert fake.run(begin=begin) == 2
    assert capsys.readouterr().err == "prodtop: prompts of 9999 tokens leave no room\n"


def test_a_worker_that_dies_is_one_line_and_is_not_restarted(
    fake: FakeBench, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = "def begin(): os.kill(os.getpid(), signal.SIGKILL)\n"
    assert fake.run(begin=begin) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prodtop: the worker died: killed by SIGKILL; its log is in ")
    assert len(fake.options) == 1
