"""`prodtop record`: an engine under load, recorded without a screen."""

import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ...engine.client.local_engine import LocalEngine
from ...engine.client.recorded_engine import RecordedEngine
from ...engine.protocol import ChildDied, Fault, Note
from ...engine.protocol.errors import ProdtopError, WorkerFailedError
from ...engine.protocol.options import WorkerOptions
from ...engine.records.recording.retention import Retention
from ..style.formatting import duration
from .arguments import Debug, Precision, Strategy, Think, Users, parse_precision, parse_strategy
from .engine_options import CONFIGURED, Given, engine_options, refuse_two_loads, with_engine_options
from .recording_facts import recording_facts
from .signals import EndingSignals
from .status_line import StatusLine

POLL_INTERVAL_S = 0.25
HOUR_S, MIB = 3600.0, 2**20


@with_engine_options(**CONFIGURED)
def record(
    given: Given,
    strategy: Strategy = None,
    precision: Precision = None,
    users: Users = None,
    think: Think = None,
    duration_s: Annotated[
        float | None,
        typer.Option("--duration", metavar="SECONDS", min=0, help="End after it; else by ctrl+c."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A new file; else one in the usual folder.")
    ] = None,
    keep_hours: Annotated[
        float | None,
        typer.Option(metavar="H", min=0, help="Drop what is older; else keep all of it."),
    ] = None,
    keep_mib: Annotated[
        float | None,
        typer.Option(metavar="M", min=1, help="Drop the oldest above this size."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Serve a model under load and record it, without a screen. `prodtop replay` plays it.

    Prints the file's name at the end. Ends after `--duration`, or by ctrl+c.
    """
    refuse_two_loads(given, "users", users)
    base = WorkerOptions()
    base = msgspec.structs.replace(
        base,
        strategy=base.strategy if strategy is None else parse_strategy(strategy),
        precision=None if precision is None else parse_precision(precision),
    )
    options = engine_options(given, base, {"users": users, "think_s": think})
    retention = Retention(
        age_s=None if keep_hours is None else keep_hours * HOUR_S,
        size_bytes=None if keep_mib is None else int(keep_mib * MIB),
    )
    local = LocalEngine(options)
    engine = RecordedEngine(local, facts=recording_facts, retention=retention)
    path = engine.start_recording(out)
    try:
        local.start()
        with EndingSignals() as signals:
            _serve(engine, path, duration_s, signals)
    finally:
        engine.close()
    print(path)


def _serve(
    engine: RecordedEngine, path: Path, duration_s: float | None, signals: EndingSignals
) -> None:
    """Poll the engine until the time is over or somebody asks to stop.

    Raises `WorkerFailedError` for a fatal fault, and `ProdtopError` where the recording stopped.
    """
    status = StatusLine(sys.stderr)
    began_s = due_s = time.monotonic()
    while not signals.count and (duration_s is None or time.monotonic() - began_s < duration_s):
        for report in engine.poll():
            match report:
                case Fault(fatal=True):
                    status.clear()
                    raise WorkerFailedError(report.message, report.exit_code)
                case Fault(message=message) | Note(message=message):
                    status.say(message)
                case ChildDied():
                    status.say(f"{report.child} {report.reason}")
                case _:
                    pass
        if engine.recording is None:
            raise ProdtopError(f"recording has stopped: what came before is in {path}")
        status.show(f"recording {duration(time.monotonic() - began_s)} to {path}: ctrl+c ends it")
        due_s = max(due_s + POLL_INTERVAL_S, time.monotonic())
        time.sleep(max(0.0, due_s - time.monotonic()))
    status.clear()
