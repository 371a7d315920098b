"""`prodtop quality`: what each precision costs, measured on this model and this machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ...engine.client.local_engine import LocalEngine
from ...engine.protocol import (
    QualityDone,
    QualitySpec,
    RunQuality,
)
from ...engine.protocol.options import WorkerOptions
from .arguments import Debug, Json, parse_groups, parse_precisions
from .engine_options import SERVING, Given, engine_options, with_engine_options
from .quality_output import QualityOutput, QualityReport
from .worker_reports import WaitingClient, reports_of


@with_engine_options(**SERVING)
def quality(
    given: Given,
    precision: Annotated[
        str, typer.Option(metavar="a,b|all", help="The precisions to measure.")
    ] = "all",
    text: Annotated[
        Path | None, typer.Option(metavar="FILE", help="UTF-8 text to score; else one that ships.")
    ] = None,
    chunks: Annotated[
        int | None,
        typer.Option(metavar="N", min=2, help="Score N chunks of 512 tokens; else the whole text."),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Report every matrix, and plain affine schemes.")
    ] = False,
    groups: Annotated[
        str, typer.Option(metavar="32,64,128", help="Report int4 in groups of so many weights too.")
    ] = "",
    rounded: Annotated[
        bool, typer.Option("--rounded", help="Report int4 by each group's minimum and maximum too.")
    ] = False,
    calibrated: Annotated[
        bool, typer.Option("--calibrated", help="Report int4 by GPTQ too, calibrated on a text.")
    ] = False,
    calibrate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="UTF-8 text for --calibrated; else one that ships."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure what each precision costs: errors of the weights, perplexity, divergence, texts."""
    options = engine_options(given, WorkerOptions(idle=True))
    spec = QualitySpec(
        precisions=parse_precisions(precision),
        text_file=None if text is None else str(text.absolute()),
        most_chunks=chunks,
        layers=layers,
        int4_groups=parse_groups(groups),
        int4_rounded=rounded,
        int4_calibrated=calibrated or calibrate is not None,
        calibration_file=None if calibrate is None else str(calibrate.absolute()),
    )
    output = QualityOutput(json=json)
    # No probe: nothing here shows what it reads.
    engine = LocalEngine(options, probe_command=None)
    engine.start()
    try:
        for report in measure(engine, spec):
            output.take(report)
    finally:
        engine.close()
        output.close()


def measure(engine: WaitingClient, spec: QualitySpec) -> Iterator[QualityReport]:
    """Yield what the worker reports until all has been measured.

    Raises as `reports_of` does.
    """
    for report in reports_of(engine, lambda _frame: RunQuality(spec=spec), QualityDone):
        if isinstance(report, QualityReport):
            yield report
