"""Keys: defaults, the user's wishes, and what is refused."""

from dataclasses import replace

import pytest
from prodtop.engine.protocol import StrategyName
from prodtop.tui.settings.key_names import is_key
from prodtop.tui.settings.keymap import (
    ACTIONS,
    DEFAULT_KEYMAP,
    EVERYWHERE,
    FLEET,
    LIVE,
    PLANNER,
    STRATEGY_ACTIONS,
    TAB_TITLES,
    KeymapError,
    remap,
)
from textual.app import App
from textual.binding import BindingsMap


def test_every_strategy_has_its_digit() -> None:
    assert [action.keys for action in STRATEGY_ACTIONS] == [
        (str(number),) for number in range(1, len(StrategyName) + 1)
    ]


def test_no_two_actions_share_a_default_key() -> None:
    assert remap({}, "config") == DEFAULT_KEYMAP


def test_a_wish_replaces_all_keys_of_its_action_and_no_others() -> None:
    keymap = remap({"quit": "X", "load_more": ["+", "up"]}, "config")
    assert keymap.keys["quit"] == ("X",)
    assert keymap.keys["load_more"] == ("+", "up")
    unchanged = {action.name for action in ACTIONS} - {"quit", "load_more"}
    assert all(keymap.keys[name] == DEFAULT_KEYMAP.keys[name] for name in unchanged)


def test_keys_can_be_swapped() -> None:
    keymap = remap({"snapshot": "w", "window": "s"}, "config")
    assert (keymap.first_key("snapshot"), keymap.first_key("window")) == ("w", "s")


def test_an_action_can_be_left_without_keys() -> None:
    keymap = remap({"snapshot": []}, "config")
    assert keymap.first_key("snapshot") == ""
    assert "snapshot" not in {binding.id for binding in keymap.bindings()}


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"quti": "X"}, ("keys.quti", "no such action", "quit")),
        ({"quit": "escpae"}, ("keys.quit", "'escpae'")),
        ({"quit": ""}, ("keys.quit", "''")),
        ({"quit": "s"}, ("keys.quit", "'s'", "snapshot")),
        ({"snapshot": "X", "window": "X"}, ("keys.window", "'X'", "snapshot")),
    ],
)
def test_a_bad_wish_names_file_action_and_key(
    wishes: dict[str, str], expected: tuple[str, ...]
) -> None:
    with pytest.raises(KeymapError) as caught:
        remap(wishes, "some/config.toml")
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in ("some/config.toml", *expected))


def test_tabs_may_use_a_key_for_different_things() -> None:
    keymap = remap({"pause": "o", "planner_overview": "o"}, "config")
    assert keymap.first_key("pause") == keymap.first_key("planner_overview") == "o"


def test_a_key_that_works_everywhere_is_no_tabs_own() -> None:
    with pytest.raises(KeymapError, match="planner_use"):
        remap({"theme": "u"}, "config")


@pytest.mark.parametrize(
    "key", ["a", "[", "+", "?", "space", "f5", "shift+left", "ctrl+p", "ctrl++"]
)
def test_keys_are_written_as_on_the_keyboard(key: str) -> None:
    assert is_key(key)


@pytest.mark.parametrize("key", ["", "ab", "hyperspace", "strg+a", "ctrl+", "\x1b"])
def test_what_is_no_key(key: str) -> None:
    assert not is_key(key)


def test_help_lists_every_action_once() -> None:
    listed = [
        text
        for tab in (EVERYWHERE, *TAB_TITLES, FLEET)
        for entries in DEFAULT_KEYMAP.groups(tab).values()
        for _, text in entries
    ]
    assert sorted(listed) == sorted(action.description for action in ACTIONS)


class Pressed(App[None]):
    """Notes which actions the keys of one tab call."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self, tab: str) -> None:
        super().__init__()
        self.calls: list[str] = []
        self._bindings = BindingsMap(
            replace(binding, action=f"note({binding.id!r})", priority=True)
            for where in (EVERYWHERE, tab)
            for binding in DEFAULT_KEYMAP.bindings(where)
        )

    def action_note(self, name: str) -> None:
        self.calls.append(name)


@pytest.mark.parametrize("tab", [LIVE, PLANNER])
async def test_textual_knows_every_key_by_the_name_we_give_it(tab: str) -> None:
    app = Pressed(tab)
    async with app.run_test() as pilot:
        for action in ACTIONS:
            if action.tab not in (EVERYWHERE, tab):
                continue
            app.calls.clear()
            await pilot.press(*action.keys)
            assert app.calls == [action.name] * len(action.keys)
