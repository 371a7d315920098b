"""Another's server as the screen's engine: a reader process asks it, a probe looks at its GPU."""

import time
from collections.abc import Callable

from ..attach.local_process import is_local
from ..attach.settings import AttachOptions, to_argument
from ..protocol import (
    REPORT_DECODER,
    Command,
    InspectRequest,
    Note,
    Report,
    ServerProcess,
    SetSlo,
    StartAgain,
    WatchProcess,
)
from ..protocol.options import module_command
from .child import Child
from .local_engine import probe_command

READER_MODULE = "prodtop.engine.attach"
WATCHED = "this server is watched, not run: prodtop does not change how it serves"


def reader_command(options: AttachOptions) -> list[str]:
    """The command line that starts the reader; `Child` appends the channel."""
    return module_command(READER_MODULE, ["--options", to_argument(options)])


class AttachedEngine:
    """Servers that run already, read by a process of their own. None of them is ever changed.

    A reader that dies is started again, as every child is. The probe runs where a server is on this
    machine: the figures of this machine's GPUs would be another's else.
    """

    def __init__(
        self,
        options: AttachOptions,
        *,
        reader_command: Callable[[AttachOptions], list[str]] = reader_command,
        probe_command: Callable[[], list[str]] = probe_command,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = Child("reader", lambda: reader_command(options), REPORT_DECODER, clock)
        local = any(is_local(each.url) and each.dcgm is None for each in options.servers)
        self._probe = Child("probe", probe_command, REPORT_DECODER, clock) if local else None
        self._early: list[Report] = []
        self._closed = False

    def start(self) -> None:
        """Start the processes."""
        self._early.append(self._reader.start())
        if self._probe is not None:
            self._early.append(self._probe.start())

    def poll(self) -> list[Report]:
        reports, self._early = self._early, []
        if self._closed:
            return reports
        for report in self._reader.poll():
            if isinstance(report, ServerProcess) and self._probe is not None:
                self._probe.send(WatchProcess(pid=report.pid))
            reports.append(report)
        if self._probe is not None:
            reports.extend(self._probe.poll())
        return reports

    def send(self, command: Command) -> None:
        """Only the processes can be started again; all else is for engines that prodtop runs."""
        match command:
            case StartAgain():
                for child in (self._reader, self._probe):
                    started = None if child is None else child.start_again()
                    if started is not None:
                        self._early.append(started)
            case SetSlo() | InspectRequest():
                # Of what passes the proxy, where there is one.
                self._reader.send(command)
            case _:
                self._early.append(Note(message=WATCHED))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for child in (self._reader, self._probe):
            if child is not None:
                child.stop()
