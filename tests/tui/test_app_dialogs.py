"""The help, the event log and the command palette."""

import asyncio

from frames import frame, play, ready
from prodtop.engine.protocol import (
    PrecisionName,
    SetPrecision,
    SetStrategy,
    StrategyName,
    Window,
)
from prodtop.tui.screens.dialogs import HelpScreen
from prodtop.tui.screens.events import EventsScreen
from prodtop.tui.style.theme import load_themes
from running_app import open_app
from textual.command import CommandList, CommandPalette


async def test_help_lists_the_keys_and_closes() -> None:
    async with open_app([[ready(), frame()]], size=(100, 90)) as running:
        await running.press("question_mark")
        assert isinstance(running.app.screen, HelpScreen)
        text = running.text()
        for description in ("Next precision", "Save a snapshot", "Command palette", "Quit"):
            assert description in text
        assert text.index("In the Live tab") < text.index("In every tab")
        await running.press("end")
        assert "evictable" in running.text()
        await running.press("escape")
        assert not isinstance(running.app.screen, HelpScreen)


async def test_e_opens_the_event_log() -> None:
    async with open_app(play(10)) as running:
        await running.press("e")
        assert isinstance(running.app.screen, EventsScreen)
        assert "strategy: single → continuous" in running.text()
        await running.press("e")
        assert not isinstance(running.app.screen, EventsScreen)


async def test_figures_go_on_behind_a_dialog() -> None:
    async with open_app([[ready(), frame(60)]], size=(140, 40)) as running:
        await running.press("question_mark")
        await running.advance([frame(65)])
        await running.press("escape")
        assert "00:01:05" in running.line("header")


async def test_the_palette_offers_every_choice() -> None:
    async with open_app([[ready(), frame()]]) as running:
        titles = [command.title for command in running.app.get_system_commands(running.app.screen)]
        assert {f"Precision: {name}" for name in PrecisionName} <= set(titles)
        assert {f"Window: {window}" for window in Window} <= set(titles)
        assert {f"Theme: {name}" for name in load_themes().themes} <= set(titles)
        assert any("single strategy" in title for title in titles)
        await running.press("ctrl+p")
        assert isinstance(running.app.screen, CommandPalette)


async def test_commands_of_the_palette_do_what_they_say() -> None:
    async with open_app([[ready(), frame()]]) as running:
        commands = {c.title: c for c in running.app.get_system_commands(running.app.screen)}
        strategy = next(title for title in commands if "single strategy" in title)
        for title in ("Precision: int8", "Window: 10s", "Theme: ascii", strategy):
            result = commands[title].callback()
            assert result is not None
            await result
        await running.pilot.pause()
        assert SetPrecision(name=PrecisionName.INT8) in running.client.sent
        assert SetStrategy(name=StrategyName.SINGLE) in running.client.sent
        assert running.app.monitor.window is Window.S10
        assert running.app.theme == "ascii"


async def test_the_palettes_list_may_be_moved_through_before_it_is_drawn() -> None:
    """As a fast typist does, or a paste."""
    async with open_app([[ready(), frame()]]) as running:
        running.app.action_command_palette()
        for _ in range(40):
            # Between any two steps of the event loop: the list has commands and no lines yet.
            await asyncio.sleep(0)
            palette = running.app.screen
            if isinstance(palette, CommandPalette) and palette.query(CommandList):
                palette._action_command_list("page_down")
        await running.pilot.pause()
        await running.press("escape")
        assert not isinstance(running.app.screen, CommandPalette)
