"""`prodtop whatif`: what was recorded of a server, beside the same requests served here."""

from pathlib import Path
from typing import Annotated

import typer

from ...engine.protocol import BenchSpec, LoadSpec
from ...engine.protocol.options import WorkerOptions
from .arguments import Debug, Json, Precisions, parse_precisions, parse_strategies
from .bench import STRATEGY
from .bench_run import Plan
from .engine_options import MEASURING, Given, engine_options, with_engine_options

# What reads the trace and plans is imported in the command: `prodtop --help` need not wait for it.

OWN_LOAD = ("rate", "burstiness", "ramp", "burst", "trace", "trace_loop", "zipf", "output_tokens")
"""What the recorded trace decides."""
LEFT_OUT = (*OWN_LOAD, "prompt_tokens", "chat")
_DEFAULTS = {name: value for name, value in MEASURING.items() if name not in LEFT_OUT}


@with_engine_options(*LEFT_OUT, **_DEFAULTS)
def whatif(
    file: Annotated[
        Path,
        typer.Argument(metavar="TRACE", help="What attach --proxy PORT --record-trace wrote."),
    ],
    given: Given,
    strategy: Annotated[
        str,
        typer.Option(metavar="a,b|all", help="The strategies to replay it with."),
    ] = STRATEGY,
    precision: Precisions = None,
    gpu: Annotated[
        str | None,
        typer.Option(metavar="G", help="And what the planner expects of this GPU type."),
    ] = None,
    warmup: Annotated[
        int, typer.Option(metavar="N", min=0, help="Requests before each replay, not measured.")
    ] = 2,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Replay a recorded trace here: yours and here side by side, by strategy and precision."""
    strategies = parse_strategies(strategy)
    precisions = [] if precision is None else parse_precisions(precision)
    every = precision is not None and precision.strip().lower() == "all"
    asked = {**given, "trace": str(file)}
    options = engine_options(
        asked,
        WorkerOptions(
            strategy=strategies[0],
            precision=precisions[0] if precisions and not every else None,
            load=LoadSpec(),
            idle=True,
        ),
    )
    from .whatif_run import replayed, told_of

    assert options.load.trace is not None, "the argument is one"
    told = told_of(options.load.trace)
    spec = BenchSpec(
        strategies=strategies,
        precisions=precisions,
        requests=len(told.trace),
        warmup=warmup,
        load=options.load,
    )
    replayed(
        options=options,
        plan=Plan(spec, skip_unavailable=every),
        told=told,
        gpu=gpu,
        json=json,
    )
