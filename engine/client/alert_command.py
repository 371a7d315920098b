"""Runs the user's command for an alert: without a shell, seldom enough, and never waited for."""

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from ..protocol import TargetAlert
from ..targets.settings import TargetSettings

MINUTE_S = 60.0
MOST_AT_ONCE = 4


class _Run:
    """One process, and until when it may take."""

    def __init__(self, process: subprocess.Popen[bytes], until_s: float) -> None:
        self.process = process
        self.until_s = until_s

    def kill(self) -> None:
        """End it with whatever it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class AlertCommand:
    """Starts `argv` for each alert with the alert as one line of JSON on its standard input.

    No call blocks: `poll` tells what went wrong. What it prints goes nowhere.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._argv = list(argv)
        self._timeout_s, self._per_minute = timeout_s, per_minute
        self._clock = clock
        self._runs: list[_Run] = []
        self._started_s: deque[float] = deque()
        self._troubles: list[str] = []
        self._left_out = 0

    @staticmethod
    def of(
        settings: TargetSettings, clock: Callable[[], float] = time.monotonic
    ) -> "AlertCommand | None":
        """The command of `[targets]`, if one is set."""
        if not settings.on_alert:
            return None
        return AlertCommand(
            settings.on_alert,
            timeout_s=settings.on_alert_timeout_s,
            per_minute=settings.on_alert_per_minute,
            clock=clock,
        )

    def run(self, alert: TargetAlert) -> None:
        """Start it for one alert, unless it was started too often, or too many still run."""
        now_s = self._clock()
        while self._started_s and now_s - self._started_s[0] >= MINUTE_S:
            self._started_s.popleft()
        if len(self._started_s) >= self._per_minute or len(self._runs) >= MOST_AT_ONCE:
            self._left_out += 1
            return
        self._started_s.append(now_s)
        try:
            process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            self._troubles.append(f"{error.__class__.__name__}: {error}")
            return
        self._runs.append(_Run(process, now_s + self._timeout_s))
        # One short line: it fits into the pipe, so this waits for nobody.
        with contextlib.suppress(BrokenPipeError):
            if process.stdin is not None:
                process.stdin.write(msgspec.json.encode(alert) + b"\n")
                process.stdin.close()

    def poll(self) -> list[str]:
        """End what takes too long; what went wrong since the last call, in words."""
        now_s = self._clock()
        running: list[_Run] = []
        for run in self._runs:
            code = run.process.poll()
            if code is None and now_s < run.until_s:
                running.append(run)
            elif code is None:
                run.kill()
                self._troubles.append(f"killed after {self._timeout_s:g} s")
            elif code:
                self._troubles.append(f"ended with {_ending(code)}")
        self._runs = running
        if self._left_out:
            self._troubles.append(
                f"{self._left_out} not handed over: at most {self._per_minute} a minute, and"
                f" {MOST_AT_ONCE} at once"
            )
            self._left_out = 0
        troubles, self._troubles = self._troubles, []
        return [f"on_alert {self._argv[0]}: {each}" for each in troubles]

    def close(self) -> None:
        """Let those that run end within their time, and kill the others."""
        for run in self._runs:
            try:
                run.process.wait(timeout=max(0.0, run.until_s - self._clock()))
            except subprocess.TimeoutExpired:
                run.kill()
        self._runs = []


def _ending(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"signal {-code}"
