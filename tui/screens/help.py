"""The help: every key and what it does, as the user has mapped them."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from ..settings.keymap import Keymap
from ..style.look import Ink
from ..views.line import EMPTY, Line, Piece, line
from ..widgets.lines import LinesView
from ..widgets.panel import Panel

KEY_WIDTH = 14


def help_lines(keymap: Keymap) -> list[Line]:
    """Groups of keys with what they do."""
    lines: list[Line] = []
    for group, entries in keymap.groups().items():
        if lines:
            lines.append(EMPTY)
        lines.append(line(Piece(group, Ink.TITLE)))
        lines += [
            line(Piece(f"  {keys}".ljust(KEY_WIDTH), Ink.ACCENT), " ", description)
            for keys, description in entries
        ]
    lines += [EMPTY, line(Piece("tab and shift+tab choose a panel", Ink.MUTED))]
    return lines


class HelpScreen(ModalScreen[None]):
    """Closed by escape, `q` or the key that opened it."""

    BINDINGS = [Binding("escape,q,question_mark", "dismiss", "Close", show=False)]

    def __init__(self, keymap: Keymap) -> None:
        super().__init__()
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        panel = Panel("Keys")
        panel.set_headline(line(Piece("esc closes", Ink.MUTED)))
        with panel, VerticalScroll():
            yield LinesView(help_lines(self._keymap))
