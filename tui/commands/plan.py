"""`prodtop plan` and its commands: training layouts, serving capacity, exports, calibration."""

from pathlib import Path
from typing import Annotated

import typer

from ...engine.planner.question.options import (
    CAPACITY_OPTIONS,
    COMPARE_OPTIONS,
    EXPORT_OPTIONS,
    SEARCH_OPTIONS,
)
from .arguments import Debug, Json, refuse_options_before
from .json_output import print_json
from .plan_calibrate import calibrate
from .plan_options import Texts, with_options

# What works plans out is imported in the commands: `prodtop plan --help` need not wait for it.

plan = typer.Typer(
    name="plan",
    rich_markup_mode=None,
    help="How many GPUs, split how, how long, and does it fit: every figure is an estimate.",
)
plan.command("calibrate")(calibrate)


@plan.callback(invoke_without_command=True)
@with_options(SEARCH_OPTIONS)
def search_layouts(
    context: typer.Context, texts: Texts, json: Json = False, debug: Debug = False
) -> None:
    """Plan training: the fastest layouts of a cluster that fit, and why the first one wins."""
    if context.invoked_subcommand is not None:
        refuse_options_before(context)
        return
    from .plan_json import report_object
    from .plan_report import report_on
    from .plan_table import print_report

    report = report_on(texts)
    if json:
        print_json(report_object(report))
    else:
        print_report(report)


@plan.command()
@with_options(CAPACITY_OPTIONS)
def capacity(
    texts: Texts,
    explain: Annotated[
        bool, typer.Option("--explain", help="Open every figure into its formula.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Plan serving: memory, decode speed, TTFT and cost by GPU type and precision."""
    from .plan_capacity import capacity_matrix
    from .plan_capacity_json import matrix_object
    from .plan_capacity_table import print_matrix

    matrix = capacity_matrix(texts)
    if json:
        print_json(matrix_object(matrix, explained=explain))
    else:
        print_matrix(matrix, explained=explain)


@plan.command()
@with_options(COMPARE_OPTIONS)
def compare(
    texts: Texts,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write a .csv, .json, .md or .html file too."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare strategies by cluster size, three models on 32 GPUs, and all GPU types."""
    from .plan_compare import compared, json_object, print_tables, require_suffix, write_tables

    if out is not None:
        require_suffix(out)
    found = compared(texts)
    if out is not None:
        write_tables(found, out)
    if json:
        print_json(json_object(found))
    else:
        print_tables(found)


@plan.command()
@with_options(EXPORT_OPTIONS)
def export(
    engine: Annotated[
        str,
        typer.Argument(
            metavar="ENGINE",
            help="torchtitan[-main|-0.2.2], megatron, deepspeed or accelerate.",
        ),
    ],
    texts: Texts,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write the file and launch.sh into a folder."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the fastest layout that an engine can express as its configuration."""
    from .plan_export import choose, export_object, print_text, write_folder

    question, chosen = choose(engine, texts)
    if out is not None:
        write_folder(chosen, out)
    if json:
        print_json(export_object(chosen, question))
    elif out is None:
        print_text(chosen)
