"""The server process as `LocalEngine` keeps it: linked with the worker, and on the same port."""

from collections.abc import Callable

import msgspec

from ..protocol import (
    REPORT_DECODER,
    ChildStarted,
    Drain,
    Drained,
    Fault,
    LinkLost,
    Report,
    ServerListening,
)
from ..protocol.options import module_command
from ..protocol.server_options import ServerOptions, server_argument
from .child import Child
from .link_broker import LinkBroker

SERVER_MODULE = "prodtop.engine.server"


def server_command(options: ServerOptions) -> list[str]:
    """The command line that starts a server; `Child` appends its fds."""
    return module_command(SERVER_MODULE, ["--options", server_argument(options)])


class WatchedServer:
    """A server child. A restarted one listens where the first one did, also where that was free to
    choose its port; that it cannot is fatal only to the first one."""

    def __init__(
        self,
        options: ServerOptions,
        command: Callable[[ServerOptions], list[str]],
        worker: Child[Report],
        clock: Callable[[], float],
    ) -> None:
        self._options = options
        self._listened = False
        self._begun = False
        self.retired = False
        """It was asked to end, and is not started again."""
        self.child = Child(
            "server", lambda: command(self._options), REPORT_DECODER, clock, takes_links=True
        )
        self._broker = LinkBroker(worker, self.child)

    def poll(self) -> list[Report]:
        """What it reports; the first call starts it."""
        reports: list[Report] = []
        if not self._begun:
            self._begun = True
            reports.append(self.child.start())
        reports += self.child.poll()
        for report in reports:
            self._take_in(report)
        return [self._told(report) for report in reports if not isinstance(report, LinkLost)]

    def start_again(self) -> list[Report]:
        """Start it where it was given up, or could not listen."""
        report = self.child.start_again() if self._begun else None
        if report is None:
            return []
        self._take_in(report)
        return [report]

    def on_worker_started(self) -> None:
        """There is a worker, new to the server."""
        self._broker.link()

    def drain(self, command: Drain) -> list[Report]:
        """Have it end with its requests; what is to be reported where there is none to ask."""
        self.retired = True
        return [] if self.child.retire(command) else [Drained(aborted=0)]

    def _take_in(self, report: Report) -> None:
        match report:
            case ServerListening(port=port):
                self._listened = True
                self._options = msgspec.structs.replace(self._options, port=port)
            case ChildStarted() | LinkLost():
                self._broker.link()
            case _:
                pass

    def _told(self, report: Report) -> Report:
        if isinstance(report, Fault) and self._listened:
            # The worker serves on, and the screen shows it.
            return msgspec.structs.replace(report, fatal=False)
        return report
