"""The picture of the recording that ships, `prodtop replay demo`: just after a worker's death."""

from contextlib import closing

from prodtop.engine.client.replay_engine import ReplayEngine
from prodtop.engine.records.recording.reader import Recording
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.commands.recording_files import DEMO_FILE
from prodtop.tui.replay_app import ReplayApp
from prodtop.tui.settings.config import Config
from prodtop.tui.settings.keymap import DEFAULT_KEYMAP, LIVE
from prodtop.tui.state.walking import ZOOMS_S

from .outline import outline_of, picture
from .scenes import SIZES, Scene

DEMO = Scene("demo", LIVE)
AFTER_S = 45.0
"""How long after the death: by then the charts show it, and what came of it."""


async def demo_pictures(theme: str) -> dict[str, str]:
    """The pictures by file name."""
    return {DEMO.file_name(*size): await _picture(size, theme) for size in SIZES}


async def _picture(size: tuple[int, int], theme: str) -> str:
    """The recording as it stood after the death, its charts over all of it."""
    with closing(Recording(DEMO_FILE)) as recording:
        engine = ReplayEngine(recording)
        engine.set_paused(True)
        app = ReplayApp(engine, AppSetup(config=Config(), theme=theme))
        async with app.run_test(size=size) as pilot:
            await pilot.press(DEFAULT_KEYMAP.first_key("scrub_end"))
            died_s = next(stop.wall_s for stop in app.monitor.stops() if stop.kind == "fault")
            app.stand_at(died_s + AFTER_S)
            for _ in ZOOMS_S:
                await pilot.press(DEFAULT_KEYMAP.first_key("zoom_out"))
            app.draw()
            await pilot.pause()
            return picture(app, outline_of(app, DEMO.name))
