"""What `prodtop serve` tells while it serves, and how it ends."""

import sys
from typing import TextIO

from ...engine.client.local_engine import LocalEngine
from ...engine.client.target_engine import TargetEngine
from ...engine.protocol import (
    ChildDied,
    ChildStarted,
    Drain,
    Drained,
    Fault,
    Frame,
    Note,
    Progress,
    Report,
    ServerListening,
    ServerSample,
    TargetAlert,
)
from ...engine.protocol.errors import ProdtopError, WorkerFailedError
from ...engine.protocol.server_options import ServerOptions
from ...engine.protocol.wording import counted
from ..state.moment import died_text
from ..style.formatting import percent
from .signals import EndingSignals
from .status_line import StatusLine

LOOK_INTERVAL_S = 0.25
RETRY = "another start"


class ServeRun:
    """Follows an engine with a server: a line when it serves, and one for all that happens."""

    def __init__(
        self,
        engine: LocalEngine,
        drain_s: float,
        stdout: TextIO,
        status: StatusLine,
        watched: TargetEngine | None = None,
    ) -> None:
        """`watched`: the same engine with more to report, such as how its targets stand."""
        self._engine = engine
        self._reporting = watched or engine
        self._rings = watched is not None and watched.settings.bell
        self._drain_s = drain_s
        self._stdout = stdout
        self._status = status
        self._url: str | None = None
        self._frame: Frame | None = None
        self._told = False
        self._in_flight = 0
        self._draining = self._told_ending = False
        self._aborted: int | None = None

    def run(self, signals: EndingSignals) -> None:
        """Serve until a signal ends it. Raises `ProdtopError` where a child is given up."""
        while self._aborted is None:
            self._engine.wait(LOOK_INTERVAL_S)
            for report in self._reporting.poll():
                self._take(report)
            if signals.count and not self._draining:
                self._drain()
            elif signals.count > 1:
                self._aborted = self._in_flight
        self._status.say(f"ended: {counted(self._aborted, 'request')} aborted")

    def _drain(self) -> None:
        self._draining = True
        self._engine.send(Drain(limit_s=self._drain_s))

    def _take(self, report: Report) -> None:
        match report:
            case Progress(what=what, fraction=fraction) if not self._told:
                share = "" if fraction is None else f" {percent(fraction)}"
                self._status.show(f"{what}{share}")
            case Frame():
                self._frame = report
                self._tell_serving()
            case ServerListening(url=url):
                self._url = url
                self._tell_serving()
            case ServerSample():
                self._on_sample(report)
            case Drained(aborted=aborted):
                self._aborted = aborted
            case TargetAlert(active=active, severity=severity, text=text):
                self._status.say(f"{severity if active else 'ended'}: {text}")
                if active and self._rings:
                    self._status.ring()
            case Note(message=message):
                self._status.say(message)
            case Fault():
                if report.fatal:
                    raise WorkerFailedError(report.message, report.exit_code)
                self._status.say(report.message)
            case ChildStarted(child=child, attempt=attempt) if attempt > 1:
                self._status.say(f"{child} started again")
            case ChildDied():
                self._on_death(report)
            case _:
                pass

    def _on_sample(self, sample: ServerSample) -> None:
        self._in_flight = sample.open_requests
        if sample.draining and self._in_flight and not self._told_ending:
            self._told_ending = True
            in_flight = counted(self._in_flight, "request")
            self._status.say(f"ending: {in_flight} in flight, up to {self._drain_s:g} s")

    def _tell_serving(self) -> None:
        """Once, when requests are taken and there is an engine to serve them."""
        frame = self._frame
        if self._told or frame is None or self._url is None:
            return
        self._told = True
        self._status.clear()
        what = f"{frame.model.name} ({frame.precision}, {frame.strategy})"
        print(f"serving {what} at {self._url}/v1", file=self._stdout, flush=True)

    def _on_death(self, death: ChildDied) -> None:
        if death.child == "server":
            self._in_flight = 0
            if self._draining:
                # It ended under its requests: how many those were is not known any more.
                self._aborted = self._aborted or 0
                return
        if death.restart_in_s is None:
            raise ProdtopError(died_text(death, RETRY))
        self._status.say(died_text(death))


def serve(engine: LocalEngine, options: ServerOptions, watched: TargetEngine | None = None) -> None:
    """Run an engine with a server until a signal ends it, and close it; alerts are told where it is
    `watched`."""
    status = StatusLine(sys.stderr)
    with EndingSignals() as signals:
        engine.start()
        try:
            ServeRun(engine, options.drain_s, sys.stdout, status, watched).run(signals)
        finally:
            status.clear()
            # It has drained, or is not to.
            engine.close(at_once=True)
            if watched is not None:
                watched.close()
