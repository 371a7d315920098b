"""One line to be typed at the bottom of the screen: a name, a file, the words of a filter."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen

from ..drawing.line import line, muted
from ..widgets.command_input import CommandInput
from ..widgets.lines import LinesView


class _PromptInput(CommandInput):
    """Its escape key gives `None`, also where something was typed."""

    def _carry_out(self, key: str) -> bool:
        if key == "escape":
            screen = self.screen
            if isinstance(screen, PromptScreen):
                screen.leave(None)
            return True
        return super()._carry_out(key)


class PromptScreen(ModalScreen[str | None]):
    """Returns what was entered; `None` where it was left with escape."""

    def __init__(self, asked: str, text: str = "") -> None:
        """`asked` is what to type; `text` stands there at first."""
        super().__init__()
        self._asked = asked
        self._input = _PromptInput((), lambda typed: typed, self.leave, placeholder=asked)
        self._input.value = text

    def compose(self) -> ComposeResult:
        with Vertical():
            yield LinesView((line(muted(f" {self._asked}   enter takes it, esc leaves")),))
            yield self._input

    def on_mount(self) -> None:
        self.set_focus(self._input)
        self._input.cursor_position = len(self._input.value)

    def leave(self, text: str | None) -> None:
        """Close it with what was typed."""
        if self.app.screen is self:
            self.dismiss(text)
