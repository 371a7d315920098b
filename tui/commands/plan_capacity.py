"""`prodtop plan capacity`: on which GPUs a model serves a load, how fast and for how much."""

from typing import Annotated

import typer

from ...engine.planner.question.options import CAPACITY_OPTIONS
from .arguments import Debug, Json
from .plan_options import Texts, with_options


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
    # Imported here: the other commands need not wait for the planner.
    from .plan_capacity_matrix import work_out

    matrix = work_out(texts)
    if json:
        import msgspec

        from .plan_capacity_json import as_object

        print(msgspec.json.encode(as_object(matrix, explained=explain)).decode())
        return
    from .plan_capacity_table import print_matrix

    print_matrix(matrix, explained=explain)
