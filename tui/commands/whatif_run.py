"""Replaying a recorded trace here, and planning for it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...engine.client.local_engine import LocalEngine
from ...engine.metrics.recorded import RecordedFigures, played_part, recorded_figures
from ...engine.planner.cost.hardware import Gpu
from ...engine.protocol import (
    BenchDone,
    CellResult,
    CellSkipped,
    Frame,
    Note,
    PrecisionName,
    Progress,
    RunBench,
    TraceSpec,
)
from ...engine.protocol.errors import ProdtopError
from ...engine.protocol.options import WorkerOptions
from ...engine.protocol.wording import counted
from ...engine.text.cleaning import clean
from ...engine.traces.summary import TraceSummary, summarize
from ...engine.traces.trace import Trace
from ...engine.traces.trace_file import read_rows, read_trace
from ..planner.served import served_shape
from .bench_output import progress_text
from .bench_run import Plan
from .json_output import print_json
from .status_line import StatusLine
from .whatif_columns import here_column, planner_column, yours_column
from .whatif_output import WhatIf, json_object, print_whatif
from .whatif_planner import Planned, gpu_named, planned
from .worker_reports import reports_of


@dataclass(frozen=True, slots=True)
class Told:
    """What a trace tells: the part to play, its summary, and how its requests went.

    `requests`: of that part, those too that failed without a token, which cannot be played.
    """

    trace: Trace
    summary: TraceSummary
    requests: int
    recorded: RecordedFigures | None
    speed: float


@dataclass(slots=True)
class _Replay:
    """What has come back so far."""

    cells: list[CellResult | CellSkipped] = field(default_factory=list)
    frame: Frame | None = None

    @property
    def results(self) -> list[CellResult]:
        return [cell for cell in self.cells if isinstance(cell, CellResult)]


def told_of(spec: TraceSpec) -> Told:
    """What a trace tells. Raises `BadInputError` for one that cannot be read."""
    path = Path(spec.path)
    trace = read_trace(path).part(spec.start_s, spec.most_requests)
    rows = played_part(read_rows(path), spec.start_s, spec.most_requests)
    return Told(trace, summarize(trace), len(rows), recorded_figures(rows), spec.speed)


def replayed(
    *, options: WorkerOptions, plan: Plan, told: Told, gpu: str | None, json: bool
) -> None:
    """Replay, plan, and print both beside what was recorded.

    Raises `QuestionError` for an unknown GPU before anything is measured, and `ProdtopError` at the
    end where requests failed here.
    """
    chosen = None if gpu is None else gpu_named(gpu)
    replay = _replay(options, plan)
    estimates = [] if chosen is None else _planned(chosen, replay, told, options.max_seqs)
    found = WhatIf(
        summary=told.summary,
        speed=told.speed,
        unplayed=told.requests - len(told.trace),
        recorded=told.recorded,
        yours=yours_column(told.requests, told.recorded),
        here=[here_column(cell) for cell in replay.results],
        planner=[planner_column(each) for each in estimates],
        cells=replay.cells,
        planned=estimates,
    )
    if json:
        print_json(json_object(found))
    else:
        print_whatif(found)
    for cell in replay.results:
        if cell.failed:
            of = f"{cell.failed} of {counted(cell.requests, 'request')}"
            raise ProdtopError(f"{of} failed in {cell.strategy} {cell.precision}")


def _replay(options: WorkerOptions, plan: Plan) -> _Replay:
    """Play the trace once for each pair of strategy and precision."""
    status, replay = StatusLine(sys.stderr), _Replay()
    # No probe: it would only disturb what is measured.
    engine = LocalEngine(options, probe_command=None)
    engine.start()
    try:
        for report in _reports(engine, plan, replay):
            match report:
                case Progress():
                    status.show(progress_text(report))
                case Note():
                    status.say(clean(report.message))
                case CellResult() | CellSkipped():
                    replay.cells.append(report)
    finally:
        engine.close()
        status.clear()
    return replay


def _reports(engine: LocalEngine, plan: Plan, replay: _Replay) -> Iterator[object]:
    def begin(frame: Frame) -> RunBench:
        replay.frame = frame
        return RunBench(spec=plan.on(frame))

    return reports_of(engine, begin, BenchDone)


def _planned(gpu: Gpu, replay: _Replay, told: Told, most_requests: int) -> list[Planned]:
    """At each precision that was replayed, or that was asked for where this device has none."""
    shape = None if replay.frame is None else served_shape(replay.frame.model)
    if shape is None:
        raise ProdtopError("the planner does not know the shape of this model")
    precisions: dict[PrecisionName, None] = dict.fromkeys(each.precision for each in replay.cells)
    return [
        planned(gpu, shape, each, told.summary, speed=told.speed, most_requests=most_requests)
        for each in precisions
    ]
