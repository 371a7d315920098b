"""Measures this machine's GPUs in a process of its own, and tells how far it is."""

import asyncio
import contextlib
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence

from ...engine.protocol import HostSample
from ...engine.protocol.options import child_command
from ...engine.text.cleaning import clean

GRACE_S = 3.0
"""For a measurement to end its own processes when it is interrupted."""
COMMAND = child_command("prodtop.tui.commands.main", ["plan", "calibrate", "--device", "cuda"])
"""Never a CPU: the form's clusters are of GPUs."""


def refusal(host: HostSample | None) -> str | None:
    """Why there is nothing to measure here as far as the probe knows; else `None`."""
    if host is None or host.gpus:
        return None
    reason = f" ({host.gpu_note})" if host.gpu_note else ""
    return f"not calibrated: no GPU here, and a CPU says nothing about GPUs{reason}"


class Calibrator:
    """Runs `prodtop plan calibrate` once at a time. `command` is what to run, for tests."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._process: Process | None = None
        self._stopped = False

    @property
    def running(self) -> bool:
        return self._process is not None

    async def run(self, tell: Callable[[str], None]) -> bool:
        """Measure; `tell` gets each line of progress, and at the end what was found or why not.

        Returns whether there is a new calibration.
        """
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        self._process, self._stopped = process, False
        last = ""
        try:
            assert process.stderr is not None
            assert process.stdout is not None
            output = asyncio.create_task(process.stdout.read())
            while line := await process.stderr.readline():
                last = clean(line.decode(errors="replace")).strip() or last
                tell(f"calibrating: {last}")
            results = clean((await output).decode(errors="replace")).strip().splitlines()
            code = await process.wait()
        finally:
            self._process = None
        if code == 0:
            tell(f"calibrated: {'; '.join(results[-2:])}")
        elif self._stopped:
            tell("calibration ended: nothing was changed")
        else:
            tell(f"not calibrated: {last.removeprefix('prodtop: ') or f'exit code {code}'}")
        return code == 0

    def stop(self) -> None:
        """End a measurement that is under way, as ctrl+c would; its figures are dropped.

        A shell that put this program into its background made it and its children deaf to ctrl+c:
        who is still there after a moment is told to terminate.
        """
        self._stopped = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)
            asyncio.get_running_loop().call_later(GRACE_S, _terminate, self._process)


def _terminate(process: Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
