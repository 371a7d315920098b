"""A real `prodtop serve` on this machine, started for a drill and ended with it."""

import os
import re
import secrets
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import psutil

from ..protocol.errors import ProdtopError
from ..text.cleaning import clean
from .http_client import Address

WORKER_MODULE = "prodtop.engine.worker"
KEY_VARIABLE = "PRODTOP_API_KEY"
START_PATIENCE_S = 1800.0
"""A large model is loaded, and its kernels compiled, before anything is served."""
ENDING_PATIENCE_S = 10.0
LOOK_INTERVAL_S = 0.05
LINES_KEPT = 50
LONGEST_LINE_BYTES = 1 << 16
_SERVING = re.compile(
    r"serving (?P<model>.+) \((?P<precision>\w+), (?P<strategy>\w+)\) at (?P<url>\S+)"
)


@dataclass(frozen=True, slots=True)
class Serves:
    """What the line of a start says."""

    model: str
    precision: str
    strategy: str
    url: str


class ServedProcess:
    """The command as a process in a session of its own, so that ctrl+c reaches its parent alone.

    `command` is its whole command line. It gets a key of its own, by which `address` is asked.
    Leaving ends it and all that it started, whatever happened meanwhile.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = list(command)
        self._key = secrets.token_urlsafe(24)
        self._environment = {**(os.environ if environment is None else environment)}
        self._environment[KEY_VARIABLE] = self._key
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._serves: Serves | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="serve's output", daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the command."""
        return self._running.pid

    @property
    def lines(self) -> Sequence[str]:
        """The last lines that it printed."""
        return tuple(self._lines)

    @property
    def worker_pid(self) -> int | None:
        """Of the worker that it runs now; `None` while there is none."""
        try:
            children = psutil.Process(self.pid).children()
        except psutil.Error:
            return None
        return next((child.pid for child in children if _is_worker(child)), None)

    @property
    def address(self) -> Address:
        """Where it serves. Raises `ProdtopError` before `until_serving`."""
        if self._serves is None:
            raise ProdtopError("the server does not serve yet")
        return Address.of(self._serves.url, self._key)

    def until_serving(self, show: Callable[[str], None]) -> Serves:
        """Wait until it serves. Raises `ProdtopError` where it ends instead."""
        show("starting prodtop serve")
        deadline_s = time.monotonic() + START_PATIENCE_S
        while self._serves is None:
            code = self._running.poll()
            if code is not None:
                # What it said last may still be on its way.
                self._join_reader()
                said = self._lines[-1] if self._lines else f"exit code {code}"
                raise ProdtopError(f"prodtop serve did not start: {said}")
            if time.monotonic() > deadline_s:
                raise ProdtopError(f"prodtop serve did not start within {START_PATIENCE_S:.0f} s")
            time.sleep(LOOK_INTERVAL_S)
        return self._serves

    def terminate(self) -> None:
        """Send SIGTERM: it drains."""
        self._running.send_signal(signal.SIGTERM)

    def ended(self, timeout_s: float) -> int | None:
        """The exit code once it has ended; `None` where that takes longer."""
        try:
            code = self._running.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        self._join_reader()
        return code

    def close(self) -> None:
        """End it and every process that it started; may be called twice."""
        process = self._process
        if process is None:
            return
        started = _descendants(process.pid)
        if process.poll() is None:
            process.terminate()
            process.terminate()
            try:
                process.wait(ENDING_PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # They end with it: what does not is helped.
        _, alive = psutil.wait_procs(started, timeout=ENDING_PATIENCE_S)
        for child in alive:
            child.kill()
        self._join_reader()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ProdtopError("prodtop serve was not started")
        return self._process

    def _join_reader(self) -> None:
        if self._reader is not None:
            self._reader.join(ENDING_PATIENCE_S)

    def _read(self) -> None:
        stream = self._running.stdout
        assert stream is not None
        with stream:
            while data := stream.readline(LONGEST_LINE_BYTES):
                line = clean(data.decode(errors="replace").strip())
                self._lines.append(line)
                if (found := _SERVING.fullmatch(line)) is not None:
                    self._serves = Serves(**found.groupdict())


def _is_worker(process: psutil.Process) -> bool:
    try:
        return WORKER_MODULE in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []
