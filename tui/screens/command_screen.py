"""The command line at the bottom of the screen: what can be set, typed with completion."""

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from ..drawing.line import Line, Piece, clipped, faint, line, muted
from ..state.command_line import Hint, completed, hints
from ..state.settable import Standing
from ..style.inks import Ink
from ..style.theme import palette_of
from ..widgets.command_input import CommandInput
from ..widgets.lines import LinesView

EXAMPLES = "users 64, prompt 500:2000, model …"
SHOWN_HINTS = 8
_NAME_CELLS = 22


class CommandScreen(ModalScreen[str]):
    """Returns the line that was entered; an empty one where it was left with escape."""

    def __init__(self, standing: Callable[[], Standing], past: Sequence[str]) -> None:
        """`past` are the lines that were entered before, the oldest first."""
        super().__init__()
        self._standing = standing
        self._input = CommandInput(past, self._completed, self._leave, placeholder=EXAMPLES)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield LinesView((), id="hints")
            yield self._input

    def on_mount(self) -> None:
        self._show_hints("")

    def take_keys(self) -> None:
        """From now on what is typed goes into the line."""
        self.set_focus(self._input)

    def on_input_changed(self, event: Input.Changed) -> None:
        self._show_hints(event.value)

    def _completed(self, text: str) -> str:
        return completed(text, self._standing())

    def _leave(self, text: str) -> None:
        if self.app.screen is self:
            self.dismiss(text)

    def _show_hints(self, text: str) -> None:
        width = self.size.width
        glyphs = palette_of(self.app).glyphs
        found = hints(text, self._standing())
        lines = [clipped(_hint_line(hint), width - 2, glyphs) for hint in found[:SHOWN_HINTS]]
        if len(found) > SHOWN_HINTS:
            lines.append(line(faint(f"  {len(found) - SHOWN_HINTS} more: type on")))
        self.query_one("#hints", LinesView).set_lines(lines)


def _hint_line(hint: Hint) -> Line:
    name = line(" ", Piece(hint.line, Ink.ACCENT), " ", muted(hint.form)).fitted(_NAME_CELLS)
    return line(name, " ", hint.note)
