"""The live screen over attached servers, until the user leaves it."""

from pathlib import Path

from ...engine.attach.asking.settings import AttachOptions
from ...engine.client.attached_engine import AttachedEngine
from ...engine.client.recorded_engine import RecordedEngine
from ...engine.http_load.messages import HttpLoadOptions
from ...engine.text.cleaning import clean
from .recording_facts import recording_facts
from .screen_run import run_screen


def open_attached(
    options: AttachOptions,
    theme: str | None,
    record: str | None,
    load: HttpLoadOptions | None = None,
) -> None:
    """Run the screen; `record` is the file to record to, empty for one in the usual folder.

    Targets, budgets and alerts are watched, and the session recorded, as over our own engine.
    """
    from ..settings.config import config_file, load_config, theme_folder
    from ..settings.config_watch import ConfigWatch
    from ..state.billing import Billing
    from ..state.target_watch import watched

    config, watch = load_config(), ConfigWatch(config_file())
    keymap = config.keymap(f"config {config_file()}")
    attached = AttachedEngine(options, load=load)
    target_engine, budget = watched(attached, config, Billing.of(config))
    engine = RecordedEngine(target_engine, facts=recording_facts)
    if record is not None:
        engine.start_recording(Path(record) if record else None)
    attached.start()
    try:
        from ..app import ProdtopApp
        from ..app_setup import AppSetup
        from ..style.theme import load_themes

        setup = AppSetup(
            config=config,
            keymap=keymap,
            theme=theme,
            themes=load_themes(theme_folder()),
            config_watch=watch,
        )
        app = ProdtopApp(engine, setup)
        app.monitor.on_billing = lambda billing: setattr(budget, "check", billing.budget)
        app.monitor.ring = app.bell
        run_screen(app)
    finally:
        engine.close()
    for path in engine.saved:
        print(f"recorded  {clean(str(path))}")
