"""`prodtop bench`: measure strategies and precisions without a screen."""

from pathlib import Path
from typing import Annotated

import typer

from ...engine.client.local_engine import LocalEngine
from ...engine.protocol import BenchSpec, LoadSpec
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.protocol.options import WorkerOptions
from .arguments import (
    Debug,
    Json,
    Precisions,
    UrlTokenFile,
    parse_precisions,
    parse_strategies,
)
from .bench_output import BenchOutput
from .bench_run import Plan, measure
from .engine_options import (
    MEASURING,
    Given,
    engine_options,
    refuse_two_loads,
    with_engine_options,
)

STRATEGY = "continuous"
REQUESTS = 32
"""Of a cell, unless asked otherwise."""


@with_engine_options(**MEASURING)
def bench(
    given: Given,
    strategy: Annotated[
        str | None,
        typer.Option(metavar="a,b|all", help="The strategies to measure.  [default: continuous]"),
    ] = None,
    precision: Precisions = None,
    requests: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Requests of each cell.  [default: 32, or all of a trace]",
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="C",
            min=1,
            help="Requests in the system at a time.  [default: 8, unless --rate]",
        ),
    ] = None,
    ignore_eos: Annotated[
        bool, typer.Option("--ignore-eos", help="Generate every token asked for.")
    ] = False,
    warmup: Annotated[
        int, typer.Option(metavar="N", min=0, help="Requests before each cell, not measured.")
    ] = 2,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Measure a server that runs already; no engine starts."),
    ] = None,
    token_file: UrlTokenFile = None,
    json: Json = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the cells there, as JSON lines.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Measure strategies and precisions without a screen: one cell for each pair of them."""
    refuse_two_loads(given, "concurrency", concurrency)
    if token_file is not None and url is None:
        raise BadInputError("--token-file goes with --url")
    strategies = parse_strategies(strategy or STRATEGY)
    precisions = [] if precision is None else parse_precisions(precision)
    options = engine_options(
        given,
        WorkerOptions(
            strategy=strategies[0],
            # The worker begins at the first precision asked for, to which it need not switch then.
            precision=precisions[0] if precisions and not _all(precision) else None,
            load=LoadSpec(users=8, ignore_eos=ignore_eos),
            idle=True,
        ),
        {"users": concurrency},
        users="concurrency",
    )
    spec = BenchSpec(
        strategies=strategies,
        precisions=precisions,
        requests=_requests(requests, options.load),
        warmup=warmup,
        load=options.load,
    )
    if url is not None:
        from .bench_url import bench_url, refuse_own_options

        named = {"strategy": strategy, "precision": precision}
        refuse_own_options(given, MEASURING, *(name for name, each in named.items() if each))
        bench_url(
            url,
            spec.load,
            requests=spec.requests,
            warmup=warmup,
            model=None if given["model"] == MEASURING["model"] else str(given["model"]),
            token_file=token_file,
            json=json,
            out=out,
        )
        return
    output = BenchOutput(json=json, out=out)
    _measure(options, Plan(spec, skip_unavailable=_all(precision)), output)


def _requests(asked: int | None, load: LoadSpec) -> int:
    """How many requests a cell has: those asked for; else 32, or once all of a trace. Raises
    `BadInputError` for a trace that cannot be read."""
    if load.trace is None:
        return asked or REQUESTS
    # Here and not above: who plays no trace need not wait for numpy.
    from ...engine.traces.trace_file import read_trace

    trace = read_trace(Path(load.trace.path))
    entries = len(trace.part(load.trace.start_s, load.trace.most_requests))
    return min(asked or entries, entries) if not load.trace.loop else asked or entries


def _all(precision: str | None) -> bool:
    return precision is not None and precision.strip().lower() == "all"


def _measure(options: WorkerOptions, plan: Plan, output: BenchOutput) -> None:
    """Run the plan; raises `ProdtopError` at the end where something in it failed."""
    # No probe: it would only disturb what is measured.
    engine = LocalEngine(options, probe_command=None)
    engine.start()
    complete = False
    try:
        for report in measure(engine, plan):
            output.take(report)
        complete = True
    finally:
        engine.close()
        output.close(complete=complete)
    if output.failures:
        raise ProdtopError(output.failures[0])
