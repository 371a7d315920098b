"""Giving the terminal to another command for a while: a snapshot or a recording that is opened.

It is a process of its own: whatever its file holds, this screen goes on, and the engine with it.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence

from textual.app import App, SuspendNotSupported

from ..engine.protocol.errors import ProdtopError
from ..engine.protocol.options import child_command

COMMANDS = "prodtop.tui.commands.main"
_LOOK_AFTER_S = 0.05


class NotLentError(ProdtopError):
    """The terminal cannot be given away, or the command failed there."""


async def lend(app: App[None], arguments: Sequence[str]) -> None:
    """Run a command of prodtop on the terminal until it ends. Raises `NotLentError`."""
    command = child_command(COMMANDS, arguments)
    try:
        with app.suspend():
            code = await _run(command)
    except SuspendNotSupported as error:
        raise NotLentError("this terminal cannot be given to another screen") from error
    except OSError as error:
        raise NotLentError(f"cannot open it: {error.strerror}") from error
    if code:
        raise NotLentError(f"it ended with {code}: run 'prodtop {' '.join(arguments)}' to see why")


async def _run(command: Sequence[str]) -> int:
    """Run a command in our process group and wait for it, stopping where it is stopped (ctrl+z):
    the shell then has the terminal, and its `fg` lets both go on."""
    process = subprocess.Popen(command)
    ended = False
    try:
        while True:
            pid, status = os.waitpid(process.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                os.kill(os.getpid(), signal.SIGSTOP)
            elif pid:
                ended = True
                return os.waitstatus_to_exitcode(status)
            await asyncio.sleep(_LOOK_AFTER_S)
    finally:
        if ended:
            process.returncode = 0
        else:
            process.terminate()
            process.wait()
