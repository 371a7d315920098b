"""The command `prodtop` over a scripted engine, for tests that drive it in a terminal of their own.

Prints nothing. With `CRASH` in the environment a tick raises it once the screen is up.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120

from frames import ScriptedClient, play
from prodtop.tui.commands import live
from prodtop.tui.commands.main import main


class Engine(ScriptedClient):
    """Takes the engine's place."""

    aborted_at_close = 0

    def __init__(self, _options: object, server: object = None) -> None:
        super().__init__(play(30), obedient=True)

    def start(self) -> None:
        pass


setattr(live, "LocalEngine", Engine)  # noqa: B010 (a stand-in with what is used of it)

if "CRASH" in os.environ:
    from prodtop.tui.app import ProdtopApp

    def crash(_app: ProdtopApp) -> None:
        raise KeyError("a defect")

    setattr(ProdtopApp, "tick", crash)  # noqa: B010
if "HANG" in os.environ:
    from prodtop.tui import terminal
    from prodtop.tui.app import ProdtopApp

    terminal.LEAVE_GRACE_S = 0.2
    setattr(ProdtopApp, "leave", lambda _app: None)  # noqa: B010
main()
