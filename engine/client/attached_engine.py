"""Another's server as the screen's engine: a reader process asks it, a probe looks at its GPU."""

import time
from collections.abc import Callable

import msgspec

from ..attach.asking.local_process import is_local
from ..attach.asking.settings import AttachOptions, to_argument
from ..http_load.messages import HttpLoadOptions
from ..http_load.messages import to_argument as load_argument
from ..protocol import (
    REPORT_DECODER,
    Command,
    Frame,
    InspectRequest,
    Note,
    Report,
    ServerProcess,
    SetLoad,
    SetSlo,
    StartAgain,
    WatchProcess,
    WatchReplica,
)
from ..protocol.options import module_command
from .child import Child
from .local_engine import probe_command

READER_MODULE = "prodtop.engine.attach"
GENERATOR_MODULE = "prodtop.engine.http_load"
WATCHED = "this server is watched, not run: prodtop does not change how it serves"


def reader_command(options: AttachOptions) -> list[str]:
    """The command line that starts the reader; `Child` appends the channel."""
    return module_command(READER_MODULE, ["--options", to_argument(options)])


def load_command(options: HttpLoadOptions) -> list[str]:
    """The command line that starts the generator; `Child` appends the channel."""
    return module_command(GENERATOR_MODULE, ["--options", load_argument(options)])


class AttachedEngine:
    """Servers that run already, read by a process of their own. None of them is ever changed.

    `load` puts a load of prodtop's own on the first of them, by a generator in a process of its
    own. A child that dies is started again. The probe runs where a server is on this machine: the
    figures of this machine's GPUs would be another's else.
    """

    def __init__(
        self,
        options: AttachOptions,
        *,
        load: HttpLoadOptions | None = None,
        reader_command: Callable[[AttachOptions], list[str]] = reader_command,
        probe_command: Callable[[], list[str]] = probe_command,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = Child("reader", lambda: reader_command(options), REPORT_DECODER, clock)
        local = any(is_local(each.url) and each.dcgm is None for each in options.servers)
        self._probe = Child("probe", probe_command, REPORT_DECODER, clock) if local else None
        self._load = None if load is None else load.loads[0]
        self._generator = (
            None
            if load is None
            else Child("load", lambda: load_command(self._with_load(load)), REPORT_DECODER, clock)
        )
        self._early: list[Report] = []
        self._closed = False

    def start(self) -> None:
        """Start the processes."""
        self._early.append(self._reader.start())
        if self._probe is not None:
            self._early.append(self._probe.start())
        if self._generator is not None:
            self._early.append(self._generator.start())

    def poll(self) -> list[Report]:
        reports, self._early = self._early, []
        if self._closed:
            return reports
        for report in self._reader.poll():
            if isinstance(report, ServerProcess) and self._probe is not None:
                self._probe.send(WatchProcess(pid=report.pid))
            if isinstance(report, Frame) and self._load is not None:
                report = msgspec.structs.replace(report, load=self._load)
            reports.append(report)
        for child in (self._probe, self._generator):
            if child is not None:
                reports.extend(child.poll())
        return reports

    def send(self, command: Command) -> None:
        """Only the processes can be started again; all else is for engines that prodtop runs."""
        match command:
            case StartAgain():
                for child in (self._reader, self._probe, self._generator):
                    started = None if child is None else child.start_again()
                    if started is not None:
                        self._early.append(started)
            case SetLoad(load=load) if self._generator is not None:
                # A generator that is started again begins with it.
                self._load = load
                self._generator.send(command)
            case WatchReplica() | SetSlo() | InspectRequest():
                self._reader.send(command)
            case _:
                self._early.append(Note(message=WATCHED))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for child in (self._generator, self._reader, self._probe):
            if child is not None:
                child.stop()

    def _with_load(self, options: HttpLoadOptions) -> HttpLoadOptions:
        """What a generator begins with: the load as it was set last."""
        return msgspec.structs.replace(options, loads=[self._load or options.loads[0]])
