"""One child process: started, watched, restarted with back-off, and stopped in the end."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Generic, TypeVar

import msgspec

from ..files.paths import log_file
from ..protocol import ChildDied, ChildStarted, Fault, Message, Shutdown
from ..protocol.channel import Channel, ChannelError, channel_pair

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 10.0
HEALTHY_AFTER_S = 20.0
"""A child that ran for this long starts again with the shortest back-off."""
HANGUP_GRACE_S = 2.0
"""How long a child may live on after it closed its channel."""
SHUTDOWN_GRACE_S = 2.0
TERMINATE_GRACE_S = 1.0

Incoming = TypeVar("Incoming")


class Child(Generic[Incoming]):
    """A child process and the channel to it. It dies with its parent: it sees the channel's end.

    `command` is asked at every start, so that a restarted child gets the settings of that moment;
    `--channel-fd N` is appended to it. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[], list[str]],
        decoder: msgspec.msgpack.Decoder[Incoming],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.attempt = 0
        self._command = command
        self._decoder = decoder
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel[Incoming] | None = None
        self._started_at_s = 0.0
        self._hung_up_at_s: float | None = None
        self._restart_at_s: float | None = None
        self._failures = 0
        self._fatal: Fault | None = None
        self._broken: ChannelError | None = None

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
        self._restart_at_s = self._hung_up_at_s = self._broken = None
        channel, inherited = channel_pair(self._decoder)
        with inherited:
            try:
                self._process = self._launch(inherited.fileno())
            except OSError as error:
                channel.close()
                return self._bury(f"cannot be started: {error}")
        self._channel = channel
        return ChildStarted(child=self.name, pid=self._process.pid, attempt=self.attempt)

    def _launch(self, channel_fd: int) -> subprocess.Popen[bytes]:
        with _open_log(self.name) as log:
            return subprocess.Popen(
                [*self._command(), "--channel-fd", str(channel_fd)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(channel_fd,),
                # Its own session: the terminal's ctrl+c is the screen's to handle.
                start_new_session=True,
                env={**os.environ, "PYTHONFAULTHANDLER": "1"},
            )

    def send(self, message: Message) -> bool:
        """Hand a message over; `False` where there is no child to take it."""
        return self._channel is not None and self._channel.send(message)

    def poll(self) -> list[Incoming | ChildDied | ChildStarted]:
        """What the child sent, and what became of it, in that order. Never blocks."""
        if self._process is None:
            return self._restart_when_due()
        # Asked before reading: once the child has ended, everything it sent is there to be read.
        exit_code = self._process.poll()
        reports: list[Incoming | ChildDied | ChildStarted] = [*self._receive()]
        if exit_code is not None:
            reports.append(self._bury(self._describe_end(exit_code)))
        elif self._channel is None or self._channel.closed:
            self._end_hung_up(self._process)
        return reports

    def _restart_when_due(self) -> list[Incoming | ChildDied | ChildStarted]:
        if self._restart_at_s is None or self._clock() < self._restart_at_s:
            return []
        return [self.start()]

    def _receive(self) -> list[Incoming]:
        if self._channel is None or self._broken is not None:
            return []
        try:
            messages = self._channel.receive()
        except ChannelError as error:
            self._broken = error
            return []
        for message in messages:
            if isinstance(message, Fault) and message.fatal:
                self._fatal = message
        return messages

    def _end_hung_up(self, process: subprocess.Popen[bytes]) -> None:
        """A child without a channel is of no use: it ends by itself soon, or is ended."""
        now = self._clock()
        if self._hung_up_at_s is None:
            self._hung_up_at_s = now
        if self._broken is not None or now - self._hung_up_at_s >= HANGUP_GRACE_S:
            process.kill()

    def _describe_end(self, exit_code: int) -> str:
        if self._broken is not None:
            return str(self._broken)
        if exit_code >= 0:
            return f"ended with exit code {exit_code}"
        return f"killed by {signal.Signals(-exit_code).name}"

    def _bury(self, reason: str) -> ChildDied:
        """Note the death, and when to start again: never after a fault that will not go away."""
        now = self._clock()
        self._drop()
        if now - self._started_at_s >= HEALTHY_AFTER_S:
            self._failures = 0
        if self._fatal is not None:
            return ChildDied(child=self.name, reason=self._fatal.message)
        backoff_s = min(FIRST_BACKOFF_S * 2**self._failures, LONGEST_BACKOFF_S)
        self._failures += 1
        self._restart_at_s = now + backoff_s
        return ChildDied(child=self.name, reason=reason, restart_in_s=backoff_s)

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._channel = self._process = None

    def ask_to_stop(self) -> None:
        """Send `Shutdown`, and never start again."""
        self._restart_at_s = None
        self.send(Shutdown())

    def stop(self) -> None:
        """End the child: asked first, then terminated, then killed, each with a deadline."""
        self.ask_to_stop()
        process = self._process
        if process is not None:
            _end(process)
        self._drop()


def _end(process: subprocess.Popen[bytes]) -> None:
    for grace_s, next_step in (
        (SHUTDOWN_GRACE_S, process.terminate),
        (TERMINATE_GRACE_S, process.kill),
    ):
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            next_step()
    process.wait()


def _open_log(name: str) -> IO[bytes]:
    """The child's log, appended to; nowhere, on a machine that lets us write none."""
    try:
        return _append_to(log_file(name))
    except OSError:
        return _append_to(Path(os.devnull))


def _append_to(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")
