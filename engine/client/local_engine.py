"""How a screen reaches an engine. Torch-free: the engine itself lives in another process."""

import select
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from ..protocol import (
    REPORT_DECODER,
    ChildDied,
    ChildStarted,
    Command,
    Frame,
    PrecisionName,
    Report,
    SetLoad,
    SetPrecision,
    SetSpeculation,
    SetStrategy,
    WatchProcess,
)
from ..protocol.options import WorkerOptions, module_command, to_argument
from .child import Child
from .session_counters import SessionCounters

WORKER_MODULE = "prodtop.engine.worker"
PROBE_MODULE = "prodtop.engine.probes"


class EngineClient(Protocol):
    """An engine as a screen sees it. No call blocks but `close`."""

    def poll(self) -> list[Report]:
        """What was reported since the last call, oldest first."""
        ...

    def send(self, command: Command) -> None:
        """Ask for something; what comes of it is reported."""
        ...

    def close(self) -> None:
        """End the engine, or let go of it. May be called twice."""
        ...


def worker_command(options: WorkerOptions) -> list[str]:
    """The command line that starts a worker; `Child` appends the channel."""
    return module_command(WORKER_MODULE, ["--options", to_argument(options)])


def probe_command() -> list[str]:
    """The command line that starts a probe; `Child` appends the channel."""
    return module_command(PROBE_MODULE)


class LocalEngine:
    """The engine on this machine: a worker process that serves, and a probe that measures.

    Both are restarted when they die. A restarted worker begins with the strategy and the load that
    were last asked for, and with the precision that the dead one served at: a precision asked for
    and not reached is asked for again, since this device may refuse it.
    """

    def __init__(
        self,
        options: WorkerOptions,
        *,
        worker_command: Callable[[WorkerOptions], list[str]] = worker_command,
        probe_command: Callable[[], list[str]] | None = probe_command,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`probe_command` `None`: no probe. Nothing runs before `start`."""
        self._options = options
        self._counters = SessionCounters()
        self._wanted_precision: PrecisionName | None = None
        self._wanted_speculation: SetSpeculation | None = None
        self._early: list[Report] = []
        self._closed = False
        self._worker = Child("worker", lambda: worker_command(self._options), REPORT_DECODER, clock)
        self._probe = (
            Child("probe", probe_command, REPORT_DECODER, clock) if probe_command else None
        )

    def start(self) -> None:
        """Start the processes. Before a Textual app runs: it replaces the standard streams."""
        self._early.extend(self._on_worker(self._worker.start()))
        if self._probe is not None:
            self._early.extend(self._on_probe(self._probe.start()))

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id while it runs."""
        return self._worker.pid

    def poll(self) -> list[Report]:
        reports, self._early = self._early, []
        if self._closed:
            return reports
        for report in self._worker.poll():
            reports.extend(self._on_worker(report))
        if self._probe is not None:
            for report in self._probe.poll():
                reports.extend(self._on_probe(report))
        return reports

    def send(self, command: Command) -> None:
        """Settings are remembered: they hold for the next worker where there is none now."""
        match command:
            case SetStrategy(name=strategy):
                self._options = msgspec.structs.replace(self._options, strategy=strategy)
            case SetLoad(load=load):
                self._options = msgspec.structs.replace(self._options, load=load)
            case SetSpeculation():
                # Those of the start stay: they name the draft model that a new worker loads.
                self._wanted_speculation = command
            case SetPrecision(name=precision):
                self._wanted_precision = precision
            case _:
                pass
        self._worker.send(command)

    def wait(self, timeout_s: float) -> None:
        """Return when there may be something to poll, or after `timeout_s`."""
        children = [self._worker] if self._probe is None else [self._worker, self._probe]
        fds = [fd for child in children if (fd := child.fileno()) is not None]
        select.select(fds, [], [], timeout_s)

    def close(self) -> None:
        self._closed = True
        if self._probe is not None:
            self._probe.ask_to_stop()
        self._worker.stop()
        if self._probe is not None:
            self._probe.stop()

    def _on_worker(self, report: Report) -> list[Report]:
        match report:
            case Frame():
                self._options = msgspec.structs.replace(self._options, precision=report.precision)
                return [self._counters.carry(report)]
            case ChildStarted():
                self._brief_worker()
                self._point_probe_at_worker()
            case ChildDied():
                lost = self._counters.close_worker()
                return [msgspec.structs.replace(report, failed_requests=lost)]
            case _:
                pass
        return [report]

    def _on_probe(self, report: Report) -> list[Report]:
        if isinstance(report, ChildStarted):
            self._point_probe_at_worker()
        return [report]

    def _brief_worker(self) -> None:
        wanted = self._wanted_precision
        if wanted is not None and wanted != self._options.precision:
            self._worker.send(SetPrecision(name=wanted))
        if self._wanted_speculation is not None:
            self._worker.send(self._wanted_speculation)

    def _point_probe_at_worker(self) -> None:
        if self._probe is not None and self._worker.pid is not None:
            self._probe.send(WatchProcess(pid=self._worker.pid))
