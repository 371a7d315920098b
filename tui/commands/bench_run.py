"""The conversation with the worker that measures cells."""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from ...engine.protocol import (
    BenchDone,
    BenchSpec,
    CellResult,
    CellSkipped,
    Frame,
    Note,
    Progress,
    RunBench,
)
from ...engine.protocol.errors import (
    PrecisionUnavailableError,
)
from .worker_reports import WaitingClient, reports_of

BenchReport = Progress | Note | CellResult | CellSkipped


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

    The bench begins with the worker's first frame, which says what the device can run. Raises as
    `reports_of` does, and `PrecisionUnavailableError`.
    """
    for report in reports_of(engine, lambda frame: RunBench(spec=plan.on(frame)), BenchDone):
        if isinstance(report, BenchReport):
            yield report
