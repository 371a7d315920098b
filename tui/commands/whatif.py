"""`prodtop whatif`: a recorded trace served again here, and what the planner expects of a GPU."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ...engine.client.local_engine import LocalEngine
from ...engine.protocol import BenchSpec, CellResult, LoadSpec
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.protocol.load import TraceSpec
from ...engine.protocol.options import WorkerOptions
from .arguments import Debug, Json, Precisions, parse_precisions, parse_strategies
from .bench_run import Plan, measure
from .engine_options import MEASURING, Given, engine_options, with_engine_options

STRATEGY = "continuous"


@with_engine_options(**MEASURING)
def whatif(
    recorded: Annotated[
        Path, typer.Argument(metavar="TRACE", help="What attach --record-trace wrote.")
    ],
    given: Given,
    strategy: Annotated[
        str,
        typer.Option(metavar="a,b|all", help="The strategies to serve it with."),
    ] = STRATEGY,
    precision: Precisions = None,
    gpu: Annotated[
        str | None,
        typer.Option(metavar="G", help="Ask the planner too: this type of GPU."),
    ] = None,
    plan_model: Annotated[
        str | None,
        typer.Option(metavar="M", help="With --gpu: the model to plan with; else --model."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Serve a recorded trace again, another way: yours beside here, and beside a planned GPU."""
    # Here and not above: the other commands need not wait for numpy.
    from ...engine.traces.served import served
    from ...engine.traces.trace_file import read_trace
    from .whatif_planner import planned
    from .whatif_table import as_object, print_table

    if plan_model is not None and gpu is None:
        raise BadInputError("--plan-model goes with --gpu")
    options = _options(given, recorded, parse_strategies(strategy)[0])
    spec = options.load.trace
    assert spec is not None
    trace = read_trace(recorded)
    part = trace.part(spec.start_s, spec.most_requests)
    yours = served(part)
    # What cannot be planned is said before anything is measured.
    plan = None if gpu is None else planned(gpu, plan_model or options.model, part, yours)
    precisions = [] if precision is None else parse_precisions(precision)
    bench = BenchSpec(
        strategies=parse_strategies(strategy),
        precisions=precisions,
        requests=len(part),
        warmup=2,
        load=options.load,
    )
    cells = _measure(options, Plan(bench, skip_unavailable=precision == "all"))
    if json:
        from .json_output import print_json

        print_json(as_object(part.name, yours, cells, plan))
    else:
        for note in trace.notes():
            typer.echo(note, err=True)
        print_table(part.name, yours, cells, plan)
    failed = sum(cell.failed for cell in cells)
    if failed:
        raise ProdtopError(f"{failed} of {len(cells) * len(part)} requests failed here")


def _options(given: Given, recorded: Path, strategy: str) -> WorkerOptions:
    """The engine's options, whose load is the trace. Raises `BadInputError`."""
    if given.get("trace") is not None:
        raise BadInputError("whatif plays TRACE: --trace has no place here")
    load = LoadSpec(trace=TraceSpec(path=str(recorded.absolute())), ignore_eos=True)
    options = engine_options(
        {**given, "trace": str(recorded)},
        WorkerOptions(strategy=parse_strategies(strategy)[0], load=load, idle=True),
    )
    looped = options.load.trace is not None and options.load.trace.loop
    if looped:
        raise BadInputError("whatif plays the trace once: --trace-loop has no place here")
    return msgspec.structs.replace(
        options, load=msgspec.structs.replace(options.load, ignore_eos=True)
    )


def _measure(options: WorkerOptions, plan: Plan) -> Sequence[CellResult]:
    """Serve the trace once for every pair of a strategy and a precision."""
    from .bench_output import BenchOutput

    # Tells of progress on standard error.
    output = BenchOutput(json=False, out=None)
    engine = LocalEngine(options, probe_command=None)
    engine.start()
    cells: list[CellResult] = []
    try:
        for report in measure(engine, plan):
            if isinstance(report, CellResult):
                cells.append(report)
            else:
                output.take(report)
    finally:
        engine.close()
        output.close(complete=False)
    return cells
