"""A trace in the worker's loop: it waits while cells are measured, and only its own is recorded."""

import json
import select
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from loop_harness import LOAD, make_engine
from of_our_own import known
from prodtop.engine.protocol import (
    COMMAND_DECODER,
    REPORT_DECODER,
    BenchDone,
    BenchSpec,
    CellResult,
    Frame,
    LoadSpec,
    Note,
    PrecisionName,
    Report,
    RunBench,
    SetLoad,
    Shutdown,
    StrategyName,
    TraceSpec,
)
from prodtop.engine.protocol.channel import Channel, channel_pair
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.traces.mooncake import write_line
from prodtop.engine.worker.loop import ServingLoop

ROWS = [(0, 20 + at, 2 + at, [at]) for at in range(5)] + [(10**9, 20, 2, [9])]
"""Five at once, and one that never comes."""


def path_of(folder: Path) -> Path:
    path = folder / "t.jsonl"
    path.write_bytes(b"".join(write_line(*row) for row in ROWS))
    return path


def converse(folder: Path, options: WorkerOptions, *commands: object) -> list[Report]:
    ours, theirs = channel_pair(REPORT_DECODER)
    with theirs:
        for command in (*commands, Shutdown()):
            assert ours.send(command)  # type: ignore[arg-type]  # each test names real ones
        loop = ServingLoop(Channel(theirs, COMMAND_DECODER), make_engine(folder), options, None)
        loop.run()
        return ours.receive()


def converse_past_bench(folder: Path, options: WorkerOptions, bench: BenchSpec) -> list[Report]:
    """What the loop reports until the bench has ended and five live requests after it."""
    ours, theirs = channel_pair(REPORT_DECODER)
    reports: list[Report] = []
    with theirs, ThreadPoolExecutor(1) as pool:
        assert ours.send(RunBench(spec=bench))
        loop = ServingLoop(Channel(theirs, COMMAND_DECODER), make_engine(folder), options, None)
        running = pool.submit(loop.run)
        while not (running.done() or has_served_after_bench(reports)):
            select.select([ours], [], [], 0.1)
            reports += ours.receive()
        assert ours.send(Shutdown())
        running.result()
        return reports + ours.receive()


def has_served_after_bench(reports: list[Report]) -> bool:
    measured = any(isinstance(each, BenchDone) for each in reports)
    served = any(
        isinstance(each, Frame) and known(each.accounting).finished == 5 for each in reports
    )
    return measured and served


def test_a_trace_waits_while_cells_are_measured_and_goes_on(
    tiny_folder: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.jsonl"
    bench = BenchSpec(
        strategies=[StrategyName.CONTINUOUS],
        precisions=[PrecisionName.FP32],
        requests=3,
        load=LOAD,
    )
    spec = LoadSpec(trace=TraceSpec(path=str(path_of(tmp_path))))
    options = WorkerOptions(load=spec, record_trace=str(own))
    reports = converse_past_bench(tiny_folder, options, bench)
    (cell,) = (each for each in reports if isinstance(each, CellResult))
    assert (cell.requests, cell.trace, cell.failed) == (3, None, 0)
    done = next(at for at, each in enumerate(reports) if isinstance(each, BenchDone))
    (*_, last) = (each for each in reports[done:] if isinstance(each, Frame))
    assert last.load == spec
    assert last.trace is not None
    assert (last.trace.arrived, last.trace.entries) == (5, 6)
    assert known(last.accounting).submitted == 5
    assert last.dispatch is not None
    assert last.dispatch.count == 5
    lines = [json.loads(line) for line in own.read_text().splitlines()]
    assert [(line["input_length"], line["output_length"]) for line in lines] == [
        row[1:3] for row in ROWS[:5]
    ]


def test_a_worker_that_follows_one_that_died_records_to_a_file_of_its_own(
    tiny_folder: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.jsonl"
    own.write_bytes(b"kept\n")
    reports = converse(tiny_folder, WorkerOptions(load=LOAD, record_trace=str(own)))
    notes = [each.message for each in reports if isinstance(each, Note)]
    assert notes == [f"recording to {tmp_path / 'own-2.jsonl'}"]
    assert own.read_bytes() == b"kept\n"
    assert (tmp_path / "own-2.jsonl").exists()


def test_a_trace_that_cannot_be_played_is_a_note_and_the_load_stays(
    tiny_folder: Path, tmp_path: Path
) -> None:
    other = LoadSpec(trace=TraceSpec(path=str(tmp_path / "none.csv")))
    reports = converse(tiny_folder, WorkerOptions(load=LOAD), SetLoad(load=other))
    notes = [each.message for each in reports if isinstance(each, Note)]
    assert notes == [f"trace {tmp_path / 'none.csv'}: there is no such file"]
    (frame, *_) = (each for each in reports if isinstance(each, Frame))
    assert frame.load == LOAD
    with pytest.raises(BadInputError, match="no such file"):
        converse(tiny_folder, WorkerOptions(load=other))
