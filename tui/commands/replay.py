"""`prodtop replay`: the screen over a recording."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ...engine.protocol.errors import BadInputError
from .arguments import Debug
from .recording_files import find_recording

if TYPE_CHECKING:
    from ...engine.client.replay_engine import ReplayEngine

SLOWEST, FASTEST = 0.1, 100.0


def replay(
    name: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A file, a name of `recording list`, latest, demo."),
    ] = "latest",
    speed: Annotated[
        float, typer.Option(metavar="X", help="How fast: 0.1 to 100; 1 is as it was.")
    ] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end.")] = False,
    theme: Annotated[
        str | None, typer.Option(metavar="T", help="One of prodtop's themes, or of your own.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Play a recording on the screen that it was recorded from. Needs no engine.

    Space pauses, `,` and `.` go by single frames, `{` and `}` change the speed, and the arrows,
    home and end walk through it.
    """
    if not SLOWEST <= speed <= FASTEST:
        raise BadInputError(f"--speed must be from {SLOWEST} to {FASTEST:g}, not {speed:g}")
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise BadInputError(
            "a replay needs a terminal: run it in one, or use 'prodtop recording export'"
        )
    path = find_recording(name)
    # Here and not above: bad input and the other commands need not wait for the screen's modules.
    from ...engine.client.replay_engine import ReplayEngine
    from ...engine.records.recording.reader import Recording

    recording = Recording(path)
    try:
        _play(ReplayEngine(recording, speed=speed, loop=loop), theme)
    finally:
        recording.close()


def _play(engine: "ReplayEngine", theme: str | None) -> None:
    from ..replay_app import ReplayApp
    from ..settings.config import config_file, load_config, theme_folder
    from ..style.theme import load_themes
    from ..terminal import TerminalGuard
    from .live import SignalledError

    config = load_config()
    app = ReplayApp(
        engine,
        config=config,
        keymap=config.keymap(f"config {config_file()}"),
        theme=theme,
        themes=load_themes(theme_folder()),
    )
    with TerminalGuard(app.leave) as guard:
        app.run()
    if guard.signal is not None:
        raise SignalledError(f"ended by {guard.signal.name}", 128 + guard.signal)
    if app.defect is not None:
        raise app.defect
