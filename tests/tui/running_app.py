"""The app under Textual's pilot over a scripted engine, and what is on its terminal."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

from frames import ScriptedClient
from prodtop.engine.protocol import Report
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.settings.config import Config
from prodtop.tui.settings.keymap import DEFAULT_KEYMAP, Keymap
from prodtop.tui.widgets.lines import LinesView
from textual.pilot import Pilot

SLOW = Config(refresh_hz=0.5)
"""The timer hardly ticks in a test's time: `advance` drives the app."""

SVG_TEXT = "{http://www.w3.org/2000/svg}text"
SVG_CELL_WIDTH = 12.2


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def terminal_text(app: ProdtopApp) -> str:
    """Everything on the terminal, row by row, read from Textual's picture of it."""
    rows: dict[int, str] = {}
    for element in ElementTree.fromstring(app.export_screenshot()).iter(SVG_TEXT):
        row = re.search(r"-line-(\d+)\)", element.get("clip-path", ""))
        if row is not None:
            column = round(float(element.get("x", "0")) / SVG_CELL_WIDTH)
            before = rows.get(int(row[1]), "")
            rows[int(row[1])] = before.ljust(column) + (element.text or "")
    return "\n".join(rows.get(y, "") for y in range(app.size.height)).replace("\xa0", " ")


class RunningApp:
    """An app that runs over a scripted engine."""

    def __init__(self, app: ProdtopApp, client: ScriptedClient, clock: Clock, pilot: Pilot[None]):
        self.app, self.client, self.clock, self.pilot = app, client, clock, pilot

    async def advance(self, *polls: list[Report], seconds: float = 0.25) -> None:
        """Have the engine say something, one poll a tick, and draw the last."""
        self.client.polls.extend(polls)
        for _ in range(len(self.client.polls) - 1):
            self.clock.now_s += seconds
            self.app.take_in()
        self.clock.now_s += seconds
        self.app.tick()
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    def line(self, name: str) -> str:
        """The text of one of the lines around the panels: `header`, `event`, `footer` …"""
        return self.app.query_one(f"#{name}", LinesView).lines[0].plain

    def text(self) -> str:
        return terminal_text(self.app)


@asynccontextmanager
async def open_app(
    polls: Iterable[list[Report]] = (),
    *,
    size: tuple[int, int] = (100, 30),
    keymap: Keymap = DEFAULT_KEYMAP,
    snapshot_folder: Path | None = None,
) -> AsyncIterator[RunningApp]:
    """Open the app at some size over what an engine says."""
    client, clock = ScriptedClient(obedient=True), Clock()
    app = ProdtopApp(
        client,
        AppSetup(
            clock=clock,
            config=SLOW,
            keymap=keymap,
            theme="prodtop-dark",
            snapshot_folder=snapshot_folder,
        ),
    )
    async with app.run_test(size=size) as pilot:
        running = RunningApp(app, client, clock, pilot)
        await running.advance(*polls)
        yield running


class SnapCompare(Protocol):
    """The fixture of pytest-textual-snapshot."""

    def __call__(
        self,
        app: ProdtopApp,
        *,
        terminal_size: tuple[int, int],
        run_before: Callable[[Pilot[None]], Awaitable[None]],
    ) -> bool: ...
