"""`prodtop trace show` and `prodtop trace record`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from ...engine.protocol.errors import BadInputError
from ...engine.protocol.options import WorkerOptions
from ...engine.text.cleaning import clean
from .arguments import (
    Debug,
    Json,
    Precision,
    Strategy,
    Think,
    Users,
    parse_precision,
    parse_strategy,
)
from .engine_options import CONFIGURED, Given, engine_options, refuse_two_loads, with_engine_options
from .json_output import print_json
from .record_trace import new_file
from .text_table import aligned

if TYPE_CHECKING:
    from ...engine.traces.summary import Lengths, TraceSummary

traces = typer.Typer(
    name="trace", rich_markup_mode=None, help="Traces: what is in one, and recording one."
)


@traces.command("show")
def show_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Azure, BurstGPT or Mooncake.")],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what is in a trace: requests, time, lengths, and how much of the prompts is shared."""
    # Here and not above: the other commands need not wait for numpy.
    from ...engine.traces.summary import summarize
    from ...engine.traces.trace_file import read_trace

    trace = read_trace(file.expanduser())
    summary = summarize(trace)
    if json:
        print_json(summary)
        return
    for line in [*summary_lines(summary), *trace.notes()]:
        print(line)


def summary_lines(summary: "TraceSummary") -> list[str]:
    """The figures of a trace as lines of text."""
    rate = "--" if summary.requests_per_s is None else f"{summary.requests_per_s:,.2f}/s"
    share = summary.shared_prefix_share
    blocks = f", in {summary.block_tokens}-token blocks" if summary.block_tokens else ""
    shared = "-- (the trace tells of no content)" if share is None else f"{share:.1%}{blocks}"
    return [
        f"{clean(summary.name)}: {summary.format}",
        f"  requests        {summary.entries:,}",
        f"  span            {summary.span_s:,.1f} s",
        f"  rate            {rate}",
        f"  shared prefixes {shared}",
        "",
        *aligned(
            [
                ["tokens", "mean", "p50", "p95", "p99", "most", "all"],
                ["prompt", *_figures(summary.prompt_tokens)],
                ["output", *_figures(summary.output_tokens)],
            ]
        ),
    ]


def _figures(lengths: "Lengths") -> list[str]:
    whole = (lengths.p50, lengths.p95, lengths.p99, lengths.most, lengths.total)
    return [f"{lengths.mean:,.0f}", *(f"{number:,}" for number in whole)]


@traces.command("record")
@with_engine_options(**CONFIGURED)
def record_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file.")],
    given: Given,
    strategy: Strategy = None,
    precision: Precision = None,
    users: Users = None,
    think: Think = None,
    duration: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.0, help="Serve for so long; else until ctrl+c."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Serve a load without a screen, and write what was served to a new file, as a trace."""
    from .trace_record import record

    refuse_two_loads(given, "users", users)
    base = WorkerOptions(
        precision=None if precision is None else parse_precision(precision),
        record_trace=new_file(file),
    )
    if strategy is not None:
        base = msgspec.structs.replace(base, strategy=parse_strategy(strategy))
    options = engine_options(given, base, {"users": users, "think_s": think})
    recorded = record(options, duration)
    from ...engine.traces.summary import summarize
    from ...engine.traces.trace_file import read_trace

    if recorded is None:
        raise BadInputError(f"{clean(str(file))}: stopped before anything was served")
    summary = summarize(read_trace(recorded))
    if json:
        print_json(summary)
        return
    for line in summary_lines(summary):
        print(line)
