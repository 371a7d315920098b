"""The real run: `python -m tools.pictures.run [FOLDER]` serves, presses keys and takes pictures."""

import argparse
import asyncio
import os
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from prodtop.engine.client.local_engine import LocalEngine
from prodtop.engine.files.atomic import write_files
from prodtop.engine.protocol import LoadSpec, StrategyName
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.settings.config import parse_config
from prodtop.tui.settings.keymap import COMPARE, DEFAULT_KEYMAP, QUALITY, TAB_TITLES
from prodtop.tui.state.billing import Billing
from prodtop.tui.state.moment import Moment
from prodtop.tui.state.target_watch import watched
from textual.pilot import Pilot

from .demo import demo_pictures
from .outline import picture
from .scenes import SIZES, scenes_of
from .stage import shown, until

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
USERS = 16
SERVED = (StrategyName.SINGLE, StrategyName.CONTINUOUS, StrategyName.HYBRID)
"""One after the other, under the same load."""
MEASURED: dict[str, Callable[[Moment], bool]] = {
    COMPARE: lambda moment: moment.compare.comparison is not None and not moment.compare.running,
    QUALITY: lambda moment: bool(moment.quality.levels) and not moment.quality.running,
}
"""The tabs that are pictured once they have measured, and whether they have."""
MEASURING_S = 900.0
REQUESTS = 64
"""Finish under each of them, and more until its figures are steady."""
THEME = "prodtop-dark"
CONFIG = """
[cost]
usd_per_hour = 0.10
budget_usd_per_day = 3.0
[capacity]
requests_per_s = 40
[targets]
"""
"""What an hour of the machine costs, and what is asked of it, for the Production tab."""


def _options() -> WorkerOptions:
    return WorkerOptions(strategy=SERVED[0], load=LoadSpec(users=USERS, seed=0))


async def take_pictures() -> dict[str, str]:
    """Run the app over a real engine; the pictures by file name."""
    os.environ.pop("NO_COLOR", None)
    with TemporaryDirectory(prefix="prodtop-") as folder:
        # What is saved for a picture is not the user's.
        os.environ["XDG_DATA_HOME"] = folder
        return await _take_pictures()


async def _take_pictures() -> dict[str, str]:
    config = parse_config(CONFIG, "the pictures'")
    engine = LocalEngine(_options())
    engine.start()
    try:
        target_engine, _ = watched(engine, config, Billing.of(config))
        app = ProdtopApp(target_engine, AppSetup(config=config, theme=THEME))
        taken: dict[str, str] = {}
        async with app.run_test(size=SIZES[0]) as pilot:
            await _serve(app, pilot)
            # A tab at all sizes before the next: its charts still show the switches.
            for tab, size in product(TAB_TITLES, SIZES):
                if size is SIZES[0]:
                    await _measure(app, pilot, tab)
                await pilot.resize_terminal(*size)
                async for scene, outline in shown(app, pilot, scenes_of(tab)):
                    taken[scene.file_name(*size)] = picture(app, outline)
        return taken
    finally:
        engine.close()


async def _serve(app: ProdtopApp, pilot: Pilot[None]) -> None:
    """Serve with each strategy until its figures are there, and those of the switch to it."""
    await until(lambda: _finished(app) > 0, "the first request")
    for strategy in SERVED:
        await pilot.press(DEFAULT_KEYMAP.first_key(f"strategy_{strategy}"))
        enough = partial(_has_served, app, strategy, _finished(app) + REQUESTS)
        await until(enough, f"{REQUESTS} requests and steady figures under {strategy}")


async def _measure(app: ProdtopApp, pilot: Pilot[None], tab: str) -> None:
    """Have a tab that measures do so: all cells, every precision."""
    if tab not in MEASURED:
        return
    await pilot.press(DEFAULT_KEYMAP.first_key(f"tab_{tab}"))
    await pilot.press(DEFAULT_KEYMAP.first_key(f"{tab}_begin"))
    measured = MEASURED[tab]
    await until(lambda: measured(app.monitor.moment()), f"what {tab} measures", MEASURING_S)


def _finished(app: ProdtopApp) -> int:
    frame = app.monitor.moment().frame
    if frame is None or frame.accounting is None:
        return 0
    return frame.accounting.finished


def _has_served(app: ProdtopApp, strategy: StrategyName, finished: int) -> bool:
    """Whether so many requests have finished, the strategy in use has steady figures, and the
    switch to it its effect."""
    frame = app.monitor.moment().frame
    if frame is None or frame.strategy is not strategy or _finished(app) < finished:
        return False
    switch = frame.last_switch
    compared = switch is not None and switch.new == strategy and switch.after is not None
    return frame.steady is not None and (compared or strategy is SERVED[0])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    folder: Path = parser.parse_args().folder
    taken = asyncio.run(take_pictures()) | asyncio.run(demo_pictures(THEME))
    write_files({folder / name: svg.encode() for name, svg in taken.items()})
    for old in folder.glob("*.svg"):
        if old.name not in taken:
            old.unlink()
    print(f"{len(taken)} pictures in {folder}")


if __name__ == "__main__":
    main()
