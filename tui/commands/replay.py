"""`prodtop replay`: the screen over a recording."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...engine.protocol.errors import BadInputError
from ...engine.records.snapshot import list_snapshots, load_snapshot
from .arguments import Debug, Theme
from .kept_names import LATEST, named, plain_file
from .recording_files import find_recording, list_recordings
from .screen_run import run_screen

if TYPE_CHECKING:
    from ...engine.client.replay_engine import ReplayEngine
    from ..app_setup import AppSetup

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
    theme: Theme = None,
    debug: Debug = False,
) -> None:
    """Play a recording on the screen that it was recorded from, or open a snapshot.

    Needs no engine. Space pauses, `,` and `.` go by single frames, `{` and `}` change the speed,
    and the arrows, home and end walk through it.
    """
    if not SLOWEST <= speed <= FASTEST:
        raise BadInputError(f"--speed must be from {SLOWEST} to {FASTEST:g}, not {speed:g}")
    require_terminal("a replay", "prodtop recording export")
    path = find_played(name)
    if path.suffix == ".json":
        show_snapshot(path, theme)
        return
    # Here and not above: bad input and the other commands need not wait for the screen's modules.
    from ...engine.client.replay_engine import ReplayEngine
    from ...engine.records.recording.reader import Recording

    recording = Recording(path)
    try:
        _play(ReplayEngine(recording, speed=speed, loop=loop), theme)
    finally:
        recording.close()


def require_terminal(what: str, instead: str) -> None:
    """Raise `BadInputError` where the screen cannot be drawn."""
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise BadInputError(f"{what} needs a terminal: run it in one, or use '{instead}'")


def find_played(name: str) -> Path:
    """A recording, or else a snapshot of that name. Raises `BadInputError`."""
    if name == LATEST or plain_file(name) is not None:
        return find_recording(name)
    both = [*list_recordings(), *list_snapshots()]
    return named(name, both, lambda paths: paths[0]) or find_recording(name)


def _play(engine: "ReplayEngine", theme: str | None) -> None:
    from ..replay_app import ReplayApp

    run_screen(ReplayApp(engine, _setup(theme)))


def show_snapshot(path: Path, theme: str | None) -> None:
    """Open a snapshot on the screen until the user leaves it. Raises `SnapshotError` where it
    cannot be read, and `BadInputError` without a terminal."""
    require_terminal("a snapshot's screen", "prodtop snapshot show")
    snapshot = load_snapshot(path)
    from ..snapshot_app import SnapshotApp

    run_screen(SnapshotApp(snapshot, _setup(theme)))


def _setup(theme: str | None) -> "AppSetup":
    """By the user's config, which nothing saved follows while it is shown."""
    from ..app_setup import AppSetup
    from ..settings.config import config_file, load_config, theme_folder
    from ..style.theme import load_themes

    config = load_config()
    return AppSetup(
        config=config,
        keymap=config.keymap(f"config {config_file()}"),
        theme=theme,
        themes=load_themes(theme_folder()),
    )
