"""Running an app of the screen until it is left, and how the command ends then."""

from typing import TYPE_CHECKING

import typer

from ...engine.protocol.errors import WorkerFailedError

if TYPE_CHECKING:
    from ..app import ProdtopApp


class SignalledError(WorkerFailedError):
    """A signal ended the session; the exit code is the shell's for it."""


def run_screen(app: "ProdtopApp") -> None:
    """Run the app until the user leaves it.

    Raises what ended it otherwise, once the terminal is the user's again: `SignalledError`, the
    defect that closed it, `WorkerFailedError` where the engine gave up, or `typer.Exit` with the
    code that the app was left with.
    """
    from ..terminal import TerminalGuard

    with TerminalGuard(app.leave) as guard:
        app.run()
    if guard.signal is not None:
        raise SignalledError(f"ended by {guard.signal.name}", 128 + guard.signal)
    if app.defect is not None:
        raise app.defect
    if app.fault is not None:
        raise WorkerFailedError(app.fault.message, app.fault.exit_code)
    if app.return_code:
        raise typer.Exit(app.return_code)
