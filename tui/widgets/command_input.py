"""The input of the command line, whose keys all take effect in the order in which they come."""

from collections.abc import Callable, Sequence

from textual import events
from textual.widgets import Input


class CommandInput(Input):
    """One line of text with completion and the lines before it.

    Textual runs an input's own keys (ctrl+u, tab, enter) after the characters that come in one
    breath with them: here each is carried out where it is read.
    """

    def __init__(
        self,
        past: Sequence[str],
        complete: Callable[[str], str],
        leave: Callable[[str], None],
        *,
        placeholder: str,
    ) -> None:
        """`past` are the lines before, the oldest first. `leave` takes the line that was entered,
        or an empty one after escape."""
        super().__init__(placeholder=placeholder, compact=True, select_on_focus=False)
        self._past = [*past, ""]
        self._at = len(past)
        self._complete, self._leave = complete, leave

    async def _on_key(self, event: events.Key) -> None:
        if self._carry_out(event.key):
            event.stop()
            event.prevent_default()
        else:
            await super()._on_key(event)

    def _carry_out(self, key: str) -> bool:
        match key:
            case "enter":
                self._leave(self.value)
            case "escape":
                self._leave("")
            case "tab":
                self._type(self._complete(self.value))
            case "up" | "down":
                self._at = min(max(self._at + (1 if key == "down" else -1), 0), len(self._past) - 1)
                self._type(self._past[self._at])
            case "ctrl+u":
                self._type("")
            case _:
                return False
        return True

    def _type(self, text: str) -> None:
        self.value = text
        self.cursor_position = len(text)
