"""The conversation with a worker that is asked for one thing, by a command without a screen."""

from collections.abc import Callable, Iterator
from typing import Protocol

from ...engine.client.local_engine import EngineClient
from ...engine.files.paths import log_dir
from ...engine.protocol import ChildDied, Command, Event, Fault, Frame, Report
from ...engine.protocol.errors import ProdtopError, WorkerFailedError

POLL_INTERVAL_S = 0.25


class WaitingClient(EngineClient, Protocol):
    """A client that can be waited for, where no screen has a clock of its own."""

    def wait(self, timeout_s: float) -> None: ...


def reports_of(
    engine: WaitingClient, begin: Callable[[Frame], Command], end: type[Event]
) -> Iterator[Report]:
    """Send what `begin` makes of the worker's first frame, and yield its reports until an `end`.

    Raises `WorkerFailedError` where the worker could not do it, and `ProdtopError` where it died: a
    new worker does not go on with what another process has begun.
    """
    begun = False
    while True:
        engine.wait(POLL_INTERVAL_S)
        for report in engine.poll():
            match report:
                case Frame() if not begun:
                    engine.send(begin(report))
                    begun = True
                case Fault():
                    raise WorkerFailedError(report.message, report.exit_code)
                case ChildDied(child="worker"):
                    raise ProdtopError(
                        f"the worker died: {report.reason}; its log is in {log_dir()}"
                    )
            if isinstance(report, end):
                return
            yield report
