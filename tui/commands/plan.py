"""`prodtop plan`: the best layouts for training a model on a cluster, and what goes with them."""

import typer

from ...engine.planner.question.options import SEARCH_OPTIONS
from .arguments import Debug, Json, refuse_options_before
from .plan_calibrate import calibrate
from .plan_capacity import capacity
from .plan_export import export
from .plan_options import Texts, with_options

plan = typer.Typer(
    name="plan",
    rich_markup_mode=None,
    help="How many GPUs, split how, how long, and does it fit: every figure is an estimate.",
)


@plan.callback(invoke_without_command=True)
@with_options(SEARCH_OPTIONS)
def search_layouts(
    context: typer.Context, texts: Texts, json: Json = False, debug: Debug = False
) -> None:
    """Plan training: the fastest layouts of a cluster that fit, and why the first one wins."""
    if context.invoked_subcommand is not None:
        refuse_options_before(context)
        return
    # Imported here: a command under this one, and help, need not wait for the search.
    from ...engine.planner.calibrate.saved import load_saved
    from ...engine.planner.question.question import Reader, ReferenceData, read_question
    from .plan_report import report_on

    reader, saved = Reader(texts), load_saved()
    question = read_question(reader, ReferenceData(prices={}, saved=saved))
    with reader.blaming_options():
        report = report_on(question, saved.origin(question.setting.cluster.gpu.key))
    if json:
        import msgspec

        from .plan_json import as_object

        print(msgspec.json.encode(as_object(report)).decode())
        return
    from .plan_table import print_report

    print_report(report)


# Every command under `prodtop plan`, one line each.
plan.command("calibrate")(calibrate)
plan.command("capacity")(capacity)
plan.command("export")(export)
