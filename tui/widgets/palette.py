"""The command palette, and screens on top that may be told twice to close, or too early to move."""

from collections.abc import Callable

from textual.await_complete import AwaitComplete
from textual.command import CommandPalette
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.worker import WorkerFailed


def dismiss_if_on_top(
    screen: Screen[None], dismiss: Callable[[None], AwaitComplete]
) -> AwaitComplete:
    """Close `screen` where it is still on top; nothing else.

    Textual's `dismiss` closes whatever lies on top: the second of two keys that close would close
    the screen below.
    """
    return dismiss(None) if screen.app.screen is screen else AwaitComplete()


class Palette(CommandPalette):
    """Textual's palette. Its list knows where its commands lie only once it was drawn: keys that
    come earlier (a fast typist, a paste) move nothing, where Textual's own raises `KeyError`."""

    def dismiss(self, result: None = None) -> AwaitComplete:
        return dismiss_if_on_top(self, super().dismiss)

    def _action_command_list(self, action: str) -> None:
        # The list's keys all come through here.
        try:
            super()._action_command_list(action)
        except (KeyError, IndexError, NoMatches):
            self.log(f"no line to move to yet: {action}")

    def _action_cursor_down(self) -> None:
        try:
            super()._action_cursor_down()
        except NoMatches:
            self.log("no list to move in yet")


def is_of_a_closed_palette(error: Exception) -> bool:
    """Whether the palette looked for its list, in a handler or a worker, after it was taken apart.

    It gathers commands while one types; closing it does not wait for that.
    """
    cause = error.error if isinstance(error, WorkerFailed) else error
    return isinstance(cause, NoMatches) and "--textual-command-palette" in str(cause)
