"""Opening the live monitor: the engine's processes first, then the screen while they load."""

import gc
from collections.abc import Callable

import typer

from ...engine.client.local_engine import LocalEngine
from ...engine.protocol.options import WorkerOptions
from ..settings.config import config_file, load_config, theme_folder
from .worker_failed import WorkerFailedError


def open_screen(complete: Callable[[WorkerOptions], WorkerOptions], theme: str | None) -> None:
    """Run the monitor until the user leaves it.

    `complete` lays what the command line says over the options that the config file sets. Raises
    `WorkerFailedError` where the engine gave up, once the terminal is the user's again.
    """
    config = load_config()
    keymap = config.keymap(f"config {config_file()}")
    configured = WorkerOptions(
        model=config.model,
        device=config.device,
        strategy=config.strategy,
        precision=config.precision,
        load=config.load.spec(),
    )
    engine = LocalEngine(complete(configured))
    engine.start()
    try:
        # Only now: importing the screen takes longest, and the worker loads meanwhile. What is
        # imported stays for good, so collecting garbage among it would only delay the first frame.
        gc.disable()
        from ..app import ProdtopApp
        from ..style.theme import load_themes

        gc.freeze()
        gc.enable()
        app = ProdtopApp(
            engine, config=config, keymap=keymap, theme=theme, themes=load_themes(theme_folder())
        )
        app.run()
    finally:
        engine.close()
    if app.monitor.fault is not None:
        raise WorkerFailedError(app.monitor.fault)
    if app.return_code:
        raise typer.Exit(app.return_code)
