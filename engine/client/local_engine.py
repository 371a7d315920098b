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
    Drain,
    Drained,
    EngineChanges,
    Fault,
    Frame,
    Note,
    Report,
    StartAgain,
    StartAnew,
    WatchProcess,
)
from ..protocol.options import WorkerOptions, module_command, to_argument
from ..protocol.server_options import ServerOptions
from .child import Child
from .restored_settings import RestoredSettings
from .session_counters import SessionCounters
from .watched_server import WatchedServer, server_command

WORKER_MODULE = "prodtop.engine.worker"
PROBE_MODULE = "prodtop.engine.probes"
CLOSING_DRAIN_S = 2.0
"""How long the server's requests may take to end while the screen closes."""
DRAIN_PATIENCE_S = 3.0
"""How much longer the server may take to say that it has drained."""


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
    """The engine on this machine: a worker process that serves, a probe that measures, and where it
    is asked for a server that takes requests from outside.

    All are restarted when they die, until one has died of the same cause three times. A restarted
    worker begins with what was last asked for, unless that is what it may have died of: see
    `RestoredSettings`.
    """

    def __init__(
        self,
        options: WorkerOptions,
        *,
        worker_command: Callable[[WorkerOptions], list[str]] = worker_command,
        probe_command: Callable[[], list[str]] | None = probe_command,
        server: ServerOptions | None = None,
        server_command: Callable[[ServerOptions], list[str]] = server_command,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`probe_command` `None`: no probe; `server` `None`: none. Nothing runs before `start`."""
        self._settings = RestoredSettings(options, clock)
        self._counters = SessionCounters()
        self._early: list[Report] = []
        self._closed = False
        self.aborted_at_close = 0
        """Requests of the server that closing has cut off."""
        self._probe_is_due = False
        self._worker = Child(
            "worker",
            lambda: worker_command(self._settings.options),
            REPORT_DECODER,
            clock,
            takes_links=server is not None,
        )
        self._probe = (
            Child("probe", probe_command, REPORT_DECODER, clock) if probe_command else None
        )
        self._server = (
            None if server is None else WatchedServer(server, server_command, self._worker, clock)
        )

    def start(self) -> None:
        """Start the worker. Before a Textual app runs, and before that is imported: loading takes
        longest.

        Probe and server start with the first `poll`, which comes once the screen has drawn: on two
        cores a third process that imports its modules would take the time from the other two
        (docs/performance.md, "The screen").
        """
        self._early.extend(self._on_worker(self._worker.start()))
        self._probe_is_due = self._probe is not None

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id while it runs."""
        return self._worker.pid

    @property
    def server_pid(self) -> int | None:
        """The server's process id while it runs."""
        return None if self._server is None else self._server.child.pid

    def poll(self) -> list[Report]:
        reports, self._early = self._early, []
        if self._closed:
            return reports
        for report in self._worker.poll():
            reports.extend(self._on_worker(report))
        if self._probe is not None:
            if self._probe_is_due:
                self._probe_is_due = False
                reports.extend(self._on_probe(self._probe.start()))
            for report in self._probe.poll():
                reports.extend(self._on_probe(report))
        if self._server is not None:
            reports.extend(self._server.poll())
        return reports

    def send(self, command: Command) -> None:
        """Settings are remembered: they hold for the next worker where there is none now."""
        if isinstance(command, StartAgain):
            self._start_again()
            return
        if isinstance(command, StartAnew):
            self._start_anew(command.changes)
            return
        if isinstance(command, Drain):
            self._early.extend([] if self._server is None else self._server.drain(command))
            return
        self._settings.on_asked(command)
        self._worker.send(command)

    def _start_again(self) -> None:
        """Start what was given up; it is reported with the next poll."""
        if self._closed:
            return
        if (report := self._worker.start_again()) is not None:
            self._early.extend(self._on_worker(report))
        if self._probe is not None and (report := self._probe.start_again()) is not None:
            self._early.extend(self._on_probe(report))
        if self._server is not None:
            self._early.extend(self._server.start_again())

    def _start_anew(self, changes: EngineChanges) -> None:
        """End the worker, and start it with other options. Where it cannot serve with them, those
        that it served with hold again."""
        if self._closed:
            return
        self._settings.start_with(changes)
        if (report := self._worker.restart()) is not None:
            self._early.extend(self._on_worker(report))

    def wait(self, timeout_s: float) -> None:
        """Return when there may be something to poll, or after `timeout_s`."""
        fds = [fd for child in self._children() if (fd := child.fileno()) is not None]
        select.select(fds, [], [], timeout_s)

    def close(self, *, at_once: bool = False) -> None:
        """End all processes; the requests of a server may end before, for a short while, unless it
        is to be `at_once`."""
        if not (self._closed or at_once):
            self._drain_briefly()
        self._closed = True
        for child in self._children():
            child.ask_to_stop()
        for child in self._children():
            child.stop()

    def _drain_briefly(self) -> None:
        """Let the server's requests end; `aborted_at_close` says how many could not."""
        if self._server is None or self._server.child.pid is None or self._server.retired:
            return
        self.send(Drain(limit_s=CLOSING_DRAIN_S))
        deadline_s = time.monotonic() + CLOSING_DRAIN_S + DRAIN_PATIENCE_S
        while time.monotonic() < deadline_s and self._server.child.pid is not None:
            self.wait(CLOSING_DRAIN_S)
            for report in self.poll():
                if isinstance(report, Drained):
                    self.aborted_at_close = report.aborted
                    return

    def _children(self) -> list[Child[Report]]:
        others = (self._probe, None if self._server is None else self._server.child)
        return [self._worker, *(child for child in others if child is not None)]

    def _on_worker(self, report: Report) -> list[Report]:
        match report:
            case Frame():
                self._settings.on_frame(report)
                return [self._counters.carry(report)]
            case Fault(fatal=True) if self._settings.on_trial:
                # Not the end: what was served with before is started again.
                return [msgspec.structs.replace(report, fatal=False)]
            case ChildStarted():
                self._brief_worker()
                if self._server is not None:
                    self._server.on_worker_started()
                self._point_probe_at_worker()
            case ChildDied():
                lost = self._counters.close_worker()
                dropped = self._settings.on_death(by_itself=self._worker.died_by_itself)
                note = f"asked for last, and not again by itself: {', '.join(dropped)}"
                death = msgspec.structs.replace(report, failed_requests=lost)
                if dropped and report.restart_in_s is None and not report.given_up:
                    self._start_again()
                    death = msgspec.structs.replace(death, restart_in_s=0.0)
                return [death, Note(message=note)] if dropped else [death]
            case _:
                pass
        return [report]

    def _on_probe(self, report: Report) -> list[Report]:
        if isinstance(report, ChildStarted):
            self._point_probe_at_worker()
        return [report]

    def _brief_worker(self) -> None:
        if self._settings.speculation is not None:
            self._worker.send(self._settings.speculation)

    def _point_probe_at_worker(self) -> None:
        if self._probe is not None and self._worker.pid is not None:
            self._probe.send(WatchProcess(pid=self._worker.pid))
