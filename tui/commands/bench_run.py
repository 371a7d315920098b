"""The conversation with the worker that measures cells."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import msgspec

from ...engine.client.local_engine import EngineClient
from ...engine.files.paths import log_dir
from ...engine.protocol import (
    BenchDone,
    BenchSpec,
    CellResult,
    CellSkipped,
    ChildDied,
    Fault,
    Frame,
    Note,
    Progress,
    RunBench,
)
from ...engine.protocol.errors import (
    PrecisionUnavailableError,
    ProdtopError,
    WorkerFailedError,
)

POLL_INTERVAL_S = 0.25

BenchReport = Progress | Note | CellResult | CellSkipped


class WaitingClient(EngineClient, Protocol):
    """A client that can be waited for, where no screen has a clock of its own."""

    def wait(self, timeout_s: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. No precisions in `spec`: the one that the worker chose for its device.

    `skip_unavailable`: a precision that the device lacks is skipped; otherwise it is an error.
    """

    spec: BenchSpec
    skip_unavailable: bool

    def on(self, frame: Frame) -> BenchSpec:
        """The plan for the device of `frame`; raises `PrecisionUnavailableError`."""
        if not self.spec.precisions:
            return msgspec.structs.replace(self.spec, precisions=[frame.precision])
        if not self.skip_unavailable:
            self._check_available(frame)
        return self.spec

    def _check_available(self, frame: Frame) -> None:
        for status in frame.precisions:
            if status.reason is not None and status.name in self.spec.precisions:
                usable = ", ".join(each.name for each in frame.precisions if not each.reason)
                raise PrecisionUnavailableError(
                    f"precision {status.name} cannot run on {frame.device_name}:"
                    f" {status.reason}; choose from {usable}"
                )


def measure(engine: WaitingClient, plan: Plan) -> Iterator[BenchReport]:
    """Yield what the worker reports until all cells are done.

    The bench begins with the worker's first frame, which says what the device can run. Raises
    `WorkerFailedError` where the worker could not do it, and `ProdtopError` where it died: a new
    worker does not resume a bench, since it would measure another process.
    """
    begun = False
    while True:
        engine.wait(POLL_INTERVAL_S)
        for report in engine.poll():
            match report:
                case Frame():
                    if not begun:
                        engine.send(RunBench(spec=plan.on(report)))
                        begun = True
                case Fault():
                    raise WorkerFailedError(report.message, report.exit_code)
                case ChildDied(child="worker"):
                    raise ProdtopError(
                        f"the worker died: {report.reason}; its log is in {log_dir()}"
                    )
                case BenchDone():
                    return
                case Progress() | Note() | CellResult() | CellSkipped():
                    yield report
                case _:
                    pass
