"""What the command palette offers: everything that a key does, and choices without a key."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial

from textual.app import SystemCommand

from ...engine.protocol import PrecisionName, Window
from ..settings.keymap import ACTIONS, EVERYWHERE, PANEL_TABS, Keymap
from ..style.theme import PaletteTheme

RunAction = Callable[[str], Awaitable[object]]
"""Carries out a Textual action by its text."""


def palette_commands(
    run_action: RunAction, keymap: Keymap, tab: str, themes: Iterable[PaletteTheme]
) -> Iterator[SystemCommand]:
    """The commands of the tab in view, of its panels, and those that work everywhere."""
    for action in ACTIONS:
        place = PANEL_TABS.get(action.tab, action.tab)
        if action.name != "palette" and place in (EVERYWHERE, tab):
            keys = " ".join(keymap.keys[action.name]) or "no key"
            yield SystemCommand(action.description, keys, partial(run_action, action.call))
    for title, words, call in _choices(themes):
        yield SystemCommand(title, words, partial(run_action, call))


def _choices(themes: Iterable[PaletteTheme]) -> Iterator[tuple[str, str, str]]:
    """Title, words and action of every single choice."""
    for precision in PrecisionName:
        call = f"app.choose_precision('{precision}')"
        yield f"Precision: {precision}", f"Serve at {precision}", call
    for window in Window:
        call = f"app.choose_window('{window}')"
        yield f"Window: {window}", f"Percentiles and charts over {window}", call
    for theme in themes:
        words = theme.description or "A theme of your own"
        yield f"Theme: {theme.name}", words, f"app.choose_theme('{theme.name}')"
