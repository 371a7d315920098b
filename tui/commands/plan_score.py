"""`prodtop plan score`: how far the planner is from measured runs."""

from pathlib import Path
from typing import Annotated

import typer

from .arguments import Debug, Json


def score(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="One run a line; blank cells are allowed.")
    ],
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Predict each run of a CSV file and say how far off that is, per source and overall."""
    # Imported here: the other commands need not wait for the planner.
    from ...engine.planner.scoring.scoring import read_rows
    from ...engine.planner.scoring.scoring import score as score_rows

    report = score_rows(read_rows(file.expanduser()))
    if json:
        import msgspec

        from .plan_score_json import as_object

        print(msgspec.json.encode(as_object(report)).decode())
        return
    from .plan_score_table import print_report

    print_report(report)
