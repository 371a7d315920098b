"""The app over a scripted engine, for every test of the screen."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from frames import ScriptedClient
from prodtop.engine.protocol import Report
from prodtop.tui.app import ProdtopApp
from running_app import SLOW, Clock, OpenApp, RunningApp


@pytest.fixture
def opened(tmp_path: Path) -> OpenApp:
    """Open the app at some size over what an engine says."""

    @asynccontextmanager
    async def run(
        polls: Iterable[list[Report]] = (),
        *,
        size: tuple[int, int] = (100, 30),
        **options: object,
    ) -> AsyncIterator[RunningApp]:
        client, clock = ScriptedClient(obedient=True), Clock()
        chosen = {"config": SLOW, "theme": "prodtop-dark", "snapshot_folder": tmp_path} | options
        app = ProdtopApp(client, clock=clock, **chosen)  # type: ignore[arg-type]  # passed through
        async with app.run_test(size=size) as pilot:
            running = RunningApp(app, client, clock, pilot)
            await running.advance(*polls)
            yield running

    return run
