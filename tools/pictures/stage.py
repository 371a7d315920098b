"""Brings scenes onto a running app by its keys, and waits until what they show is there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from prodtop.tui.app import ProdtopApp
from prodtop.tui.settings.keymap import DEFAULT_KEYMAP
from textual.pilot import Pilot

from .outline import Outline, outline_of
from .scenes import Scene

ASK_AGAIN_S = 0.02
DEADLINE_S = 300.0


async def until(done: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Return once `done` says so. Raises `TimeoutError` that says what never came."""
    try:
        async with asyncio.timeout(deadline_s):
            while not done():
                await asyncio.sleep(ASK_AGAIN_S)
    except TimeoutError as error:
        raise TimeoutError(f"waited in vain for {what}") from error


async def shown(
    app: ProdtopApp, pilot: Pilot[None], scenes: Iterable[Scene]
) -> AsyncIterator[tuple[Scene, Outline]]:
    """Show one scene after the other: each is in view, and drawn, when it is yielded."""
    for scene in scenes:
        await _open(app, pilot, scene)
        yield scene, await _settled(app, pilot, scene)
        await pilot.press(*scene.back)
        await pilot.pause()


async def _open(app: ProdtopApp, pilot: Pilot[None], scene: Scene) -> None:
    if app.current_mode != scene.tab:
        await pilot.press(DEFAULT_KEYMAP.first_key(f"tab_{scene.tab}"))
        await until(lambda: app.current_mode == scene.tab, f"the tab {scene.tab}")
        await pilot.pause()
    if scene.tab == app.screen.id:
        # Where a panel has the focus its keys are its own, and the footer shows them.
        app.screen.set_focus(None)
    await pilot.press(*scene.keys)
    await until(lambda: scene.ready(app), f"what the scene {scene.name} shows")


async def _settled(app: ProdtopApp, pilot: Pilot[None], scene: Scene) -> Outline:
    """Draw until the screen has the same outline twice: layout and focus follow by messages."""
    before: Outline | None = None
    while True:
        app.draw()
        await pilot.pause()
        outline = outline_of(app, scene.name)
        if outline == before:
            return outline
        before = outline
