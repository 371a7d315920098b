"""`prodtop plan export`: the fastest layout of a training engine, as its configuration."""

from pathlib import Path
from typing import Annotated

import typer

from ...engine.planner.question.options import EXPORT_OPTIONS
from ...engine.protocol.errors import BadInputError
from ...engine.text.cleaning import clean
from .arguments import Debug, Json
from .plan_options import Texts, with_options


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
    # Imported here: the other commands need not wait for the planner.
    from ...engine.planner.calibrate.saved import load_saved
    from ...engine.planner.export.choose import SOFTWARE, fastest_export
    from ...engine.planner.export.engines import ENGINES
    from ...engine.planner.question.parsers import AUTO
    from ...engine.planner.question.question import (
        Reader,
        ReferenceData,
        read_question,
        read_run,
    )
    from .plan_export_output import print_json, print_text, write_folder

    if engine not in ENGINES:
        known = ", ".join(ENGINES)
        raise BadInputError(f"unknown engine '{clean(engine)}': choose from {known}")
    if texts["framework"] == AUTO:
        texts = {**texts, "framework": SOFTWARE[engine]}
    reader = Reader(texts)
    run = read_run(reader)
    question = read_question(reader, ReferenceData(prices={}, saved=load_saved()))
    with reader.blaming_options():
        chosen = fastest_export(engine, question.setting, question.constraints, run)
    if out is not None:
        write_folder(chosen, out)
    if json:
        print_json(chosen, question)
    elif out is None:
        print_text(chosen)
