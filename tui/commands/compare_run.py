"""Driving a sweep through an engine until it has ended or is interrupted."""

import time
from collections.abc import Callable, Iterator

from ...engine.compare.cells import Comparison
from ...engine.compare.schedule import Goal
from ...engine.compare.sweep import Sweep
from ...engine.files.paths import log_dir
from ...engine.protocol import ChildDied, Fault, Frame, Note, Progress, own_setting
from ...engine.protocol.errors import ProdtopError, WorkerFailedError
from .worker_reports import POLL_INTERVAL_S, WaitingClient


def first_frame(engine: WaitingClient, show: Callable[[str], None]) -> Frame:
    """Wait until the engine serves. Raises `WorkerFailedError` where it cannot, and `ProdtopError`
    where it died."""
    while True:
        engine.wait(POLL_INTERVAL_S)
        for report in engine.poll():
            match report:
                case Frame():
                    return report
                case Fault():
                    raise WorkerFailedError(report.message, report.exit_code)
                case ChildDied(child="worker"):
                    raise ProdtopError(
                        f"the worker died: {report.reason}; its log is in {log_dir()}"
                    )
                case Progress(what=what):
                    show(what)
                case _:
                    pass


def drive(
    engine: WaitingClient, comparison: Comparison, goal: Goal, frame: Frame
) -> Iterator[Sweep | Note]:
    """Yield the sweep whenever something may have changed, and notes; until it has ended.

    A cell whose worker dies has failed; the others go on in the next worker, if there is one.
    """
    sweep = Sweep(comparison, goal, own_setting(frame).precision)
    for command in sweep.begin(time.monotonic()):
        engine.send(command)
    yield sweep
    while sweep.ended is None:
        engine.wait(POLL_INTERVAL_S)
        for report in engine.poll():
            if isinstance(report, Note):
                yield report
            for command in sweep.take(report, time.monotonic()):
                engine.send(command)
        yield sweep
