"""One child process: started, watched, restarted with back-off, and stopped in the end."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import msgspec

from ..files.child_log import ChildLog
from ..protocol import (
    ChildDied,
    ChildStarted,
    Crash,
    Fault,
    Frame,
    HostSample,
    Message,
    Ready,
    ServerListening,
    Shutdown,
)
from ..protocol.channel import Channel, ChannelError, channel_pair
from ..protocol.handover import hand_over
from .cause_of_death import (
    SENT_SIGNALS,
    MemoryKills,
    cause_of,
    read_memory_kills,
    signal_name,
)

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 10.0
HEALTHY_AFTER_S = 20.0
"""A child that ran for this long starts again with the shortest back-off."""
SETTLED_AFTER_S = 300.0
"""A child that served for this long has got over what it died of before."""
MOST_REPEATS = 3
"""A child that ends for one reason as often as this is given up."""
HANGUP_GRACE_S = 2.0
"""How long a child may live on after it closed its channel."""
SHUTDOWN_GRACE_S = 2.0
TERMINATE_GRACE_S = 1.0
DRAIN_INTERVAL_S = 0.05

Incoming = TypeVar("Incoming")


class Child(Generic[Incoming]):
    """A child process and the channel to it. It dies with its parent: see `child_process`.

    What ends for one reason again and again is given up, until `start_again`. A signal that
    somebody sends to a child that serves is no such reason: it is started again for ever.

    `command` is asked at every start, so that a restarted child gets the settings of that moment;
    `--channel-fd N` is appended to it, and `--handover-fd N` for a child that is to be linked with
    another one: see `hand_over`. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[], list[str]],
        decoder: msgspec.msgpack.Decoder[Incoming],
        clock: Callable[[], float] = time.monotonic,
        memory_kills: Callable[[], MemoryKills] = read_memory_kills,
        *,
        takes_links: bool = False,
    ) -> None:
        self.name = name
        self.attempt = 0
        self._command = command
        self._decoder = decoder
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel[Incoming] | None = None
        self._takes_links = takes_links
        self._handover: socket.socket | None = None
        self._retired = False
        self._started_at_s = 0.0
        self._hung_up_at_s: float | None = None
        self._restart_at_s: float | None = None
        self._restarting_since_s: float | None = None
        self._failures = 0
        self._fatal: Fault | None = None
        self._broken: ChannelError | None = None
        self._log: ChildLog | None = None
        self._crash: str | None = None
        self._served = False
        self._deaths: Counter[str] = Counter()
        self._given_up = False
        self._read_memory_kills = memory_kills
        self._memory_kills_before = memory_kills()
        self.died_by_itself = False
        """Whether the last death was the child's own, and not a signal that somebody sent."""

    @property
    def pid(self) -> int | None:
        """The process id while the child runs."""
        return self._process.pid if self._process is not None else None

    def fileno(self) -> int | None:
        """The channel's fd while there is one, for `select`."""
        if self._channel is None or self._channel.closed:
            return None
        return self._channel.fileno()

    def start(self) -> ChildStarted | ChildDied:
        """Start the child; where even that fails, say so and try again later."""
        self.attempt += 1
        self._started_at_s = self._clock()
        self._restart_at_s = self._hung_up_at_s = self._broken = self._crash = None
        self._restarting_since_s = self._fatal = None
        self._served = self._given_up = self._retired = False
        self._memory_kills_before = self._read_memory_kills()
        channel, inherited = channel_pair(self._decoder)
        with inherited, contextlib.ExitStack() as theirs:
            fds = {"--channel-fd": inherited.fileno()}
            try:
                if self._takes_links:
                    self._handover, end = socket.socketpair()
                    fds["--handover-fd"] = theirs.enter_context(end).fileno()
                self._process = self._launch(fds)
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                channel.close()
                return self._bury(f"cannot be started: {error}", by_itself=True)
        self._channel = channel
        return ChildStarted(child=self.name, pid=self._process.pid, attempt=self.attempt)

    def _launch(self, fds: Mapping[str, int]) -> subprocess.Popen[bytes]:
        self._log = log = ChildLog(self.name)
        arguments = [word for name, fd in fds.items() for word in (name, str(fd))]
        process = subprocess.Popen(
            [*self._command(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log.inlet,
            stderr=log.inlet,
            pass_fds=tuple(fds.values()),
            # Its own session: the terminal's ctrl+c is the screen's to handle.
            start_new_session=True,
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        )
        log.close_inlet()
        return process

    def send(self, message: Message) -> bool:
        """Hand a message over; `False` where there is no child to take it."""
        return self._channel is not None and self._channel.send(message)

    def hand_over(self, end: socket.socket) -> bool:
        """Pass the child an end of a link; `False` where there is no child to take it."""
        return self._handover is not None and hand_over(self._handover, end)

    def retire(self, message: Message) -> bool:
        """Send the message after which the child ends: that end is no death, and the last one."""
        self._restart_at_s = None
        self._retired = self.send(message)
        return self._retired

    def poll(self) -> list[Incoming | ChildDied | ChildStarted]:
        """What the child sent, and what became of it, in that order. Never blocks."""
        if self._process is None:
            return self._restart_when_due()
        self._drain_log()
        # Asked before reading: once the child has ended, everything it sent is there to be read.
        exit_code = self._process.poll()
        reports: list[Incoming | ChildDied | ChildStarted] = [*self._receive()]
        if exit_code is not None:
            reports.append(self._bury_ended(exit_code))
        elif self._restarting_since_s is not None:
            if self._clock() - self._restarting_since_s >= SHUTDOWN_GRACE_S:
                self._process.kill()
        elif self._channel is None or self._channel.closed:
            self._end_hung_up(self._process)
        return reports

    def _restart_when_due(self) -> list[Incoming | ChildDied | ChildStarted]:
        if self._restart_at_s is None or self._clock() < self._restart_at_s:
            return []
        return [self.start()]

    def start_again(self) -> ChildStarted | ChildDied | None:
        """Start a child that was given up, that waits to be restarted, or that ended by a fatal
        fault; `None` if it runs."""
        ended = self._given_up or self._restart_at_s is not None or self._fatal is not None
        if self._process is not None or not ended:
            return None
        self._deaths.clear()
        self._failures = 0
        return self.start()

    def restart(self) -> ChildStarted | ChildDied | None:
        """End the child and start it anew at once; `None` while it still has to end."""
        self._deaths.clear()
        self._failures = 0
        if self._process is None:
            return self.start()
        self._restarting_since_s = self._clock()
        self.send(Shutdown())
        return None

    def _receive(self) -> list[Incoming]:
        if self._channel is None or self._broken is not None:
            return []
        try:
            messages = self._channel.receive()
        except ChannelError as error:
            self._broken = error
            return []
        for message in messages:
            match message:
                case Fault(fatal=True):
                    self._fatal = message
                case Crash(reason=reason):
                    self._crash = reason
                case Frame() | HostSample() | Ready() | ServerListening():
                    self._served = True
                case _:
                    pass
        return [message for message in messages if not isinstance(message, Crash)]

    def _end_hung_up(self, process: subprocess.Popen[bytes]) -> None:
        """A child without a channel is of no use: it ends by itself soon, or is ended."""
        now = self._clock()
        if self._hung_up_at_s is None:
            self._hung_up_at_s = now
        if self._broken is not None or now - self._hung_up_at_s >= HANGUP_GRACE_S:
            process.kill()

    def _bury_ended(self, exit_code: int) -> ChildDied:
        """Note the end of a process, and say what it died of."""
        if self._retired:
            self._drop()
            return ChildDied(child=self.name, reason="ended as it was asked to")
        if self._restarting_since_s is not None:
            return self._bury_for_restart()
        if self._broken is not None:
            return self._bury(str(self._broken), by_itself=True)
        if self._crash is not None:
            return self._bury(f"ended by an error: {self._crash}", by_itself=True)
        if exit_code >= 0:
            printed = self._log.last_line() if exit_code and self._log is not None else ""
            words = f": {printed}" if printed else ""
            return self._bury(f"ended with exit code {exit_code}{words}", by_itself=True)
        if exit_code == -signal.SIGKILL:
            out_of_memory = self._read_memory_kills().since(self._memory_kills_before)
            if out_of_memory is not None:
                return self._bury(out_of_memory, by_itself=True)
        by_itself = -exit_code not in SENT_SIGNALS
        return self._bury(f"killed by {signal_name(-exit_code)}", by_itself=by_itself)

    def _bury_for_restart(self) -> ChildDied:
        """The child has ended because it was to: the next one starts with the next poll."""
        self._drop()
        self.died_by_itself = False
        self._fatal = None
        self._restart_at_s = self._clock()
        return ChildDied(child=self.name, reason="ended to start anew", restart_in_s=0.0)

    def _bury(self, reason: str, *, by_itself: bool) -> ChildDied:
        """Note the death, and when to start again: never after a fault that will not go away."""
        now = self._clock()
        self._drain_log()
        log = self._log.path if self._log is not None else None
        self._drop()
        life_s = now - self._started_at_s
        if life_s >= HEALTHY_AFTER_S:
            self._failures = 0
        self.died_by_itself = by_itself
        if self._fatal is not None:
            return ChildDied(child=self.name, reason=self._fatal.message)
        repeats = self._count_death(cause_of(reason), life_s, by_itself=by_itself)
        death = ChildDied(
            child=self.name,
            reason=reason,
            repeats=repeats,
            log=str(log) if log is not None and by_itself else None,
        )
        if repeats >= MOST_REPEATS:
            self._given_up = True
            return msgspec.structs.replace(death, given_up=True)
        backoff_s = min(FIRST_BACKOFF_S * 2**self._failures, LONGEST_BACKOFF_S)
        self._failures += 1
        self._restart_at_s = now + backoff_s
        return msgspec.structs.replace(death, restart_in_s=backoff_s)

    def _count_death(self, cause: str, life_s: float, *, by_itself: bool) -> int:
        """How often in a row it has now died of that cause. Children that never come to serve are
        counted cause by cause, so that two that take turns end as well."""
        if self._served and not by_itself:
            self._deaths.clear()
            return 1
        if self._served and (life_s >= SETTLED_AFTER_S or cause not in self._deaths):
            self._deaths.clear()
        self._deaths[cause] += 1
        return self._deaths[cause]

    def _drain_log(self) -> None:
        if self._log is not None:
            self._log.drain()

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._log is not None:
            self._log.close()
        if self._handover is not None:
            self._handover.close()
        self._channel = self._process = self._log = self._handover = None

    def ask_to_stop(self) -> None:
        """Send `Shutdown`, and never start again."""
        self._restart_at_s = None
        self._given_up = False
        self.send(Shutdown())

    def stop(self) -> None:
        """End the child: asked first, then terminated, then killed, each with a deadline."""
        self.ask_to_stop()
        process = self._process
        if process is not None:
            self._end(process)
        self._drop()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        for grace_s, next_step in (
            (SHUTDOWN_GRACE_S, process.terminate),
            (TERMINATE_GRACE_S, process.kill),
        ):
            if not self._ends_within(process, grace_s):
                next_step()
        process.wait()

    def _ends_within(self, process: subprocess.Popen[bytes], patience_s: float) -> bool:
        """Wait for the end, and meanwhile read what the child prints: else it would wait for us."""
        deadline_s = time.monotonic() + patience_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._drain_log()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(min(left_s, DRAIN_INTERVAL_S))
                return True
        return process.poll() is not None
