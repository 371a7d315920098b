"""The command line over the running app: opened by a key, typed fast, and left again."""

from frames import frame
from prodtop.engine.protocol import LoadSpec, SetLoad
from prodtop.tui.screens.command_screen import CommandScreen
from prodtop.tui.widgets.command_input import CommandInput
from running_app import RunningApp, open_app
from textual import events


async def type_at_once(running: RunningApp, *keys: str) -> None:
    """Keys that reach the app before it has dealt with the first of them."""
    for key in keys:
        character = {"space": " ", "ctrl+u": "\x15"}.get(key, key if len(key) == 1 else None)
        name = {":": "colon"}.get(key, key)
        event = events.Key(name, character)
        event.set_sender(running.app)
        running.app.post_message(event)
    await running.pilot.pause()


async def test_a_line_typed_in_one_breath_is_carried_out() -> None:
    async with open_app([[frame(load=LoadSpec(users=4))]]) as running:
        await running.advance()
        await type_at_once(running, ":", *"us", "tab", *"64", "enter")
        assert running.client.sent == [SetLoad(load=LoadSpec(users=64))]
        assert not isinstance(running.app.screen, CommandScreen)


async def test_what_is_typed_after_the_line_was_emptied_stays() -> None:
    async with open_app([[frame()]]) as running:
        await running.advance()
        await type_at_once(running, ":", *"rate", "ctrl+u", *"users")
        assert running.app.screen.query_one(CommandInput).value == "users"
        assert "Clients with one request each" in running.text()


async def test_escape_leaves_and_up_brings_back_what_was_entered() -> None:
    async with open_app([[frame()]]) as running:
        await running.advance()
        await running.press(":", *"load", "space", *"of", "enter")
        assert "load is on or off, not 'of'" in running.text()
        await running.press(":", "up")
        line = running.app.screen.query_one(CommandInput)
        assert line.value == "load of"
        await running.press("down", "escape")
        assert running.client.sent == []
        assert not isinstance(running.app.screen, CommandScreen)


async def test_the_theme_and_the_window_are_set_as_well() -> None:
    async with open_app([[frame()]]) as running:
        await running.advance()
        await running.press(":", *"theme", "space", *"mono", "enter")
        await running.press(":", *"window", "space", *"10s", "enter")
        assert running.app.theme == "mono"
        assert running.app.monitor.window == "10s"
