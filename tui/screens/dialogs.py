"""The dialogs over a tab: the help with every key, and what was tried."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from ...engine.records.tried import Choice, Tried
from ..drawing.line import EMPTY, Line, Piece, line, muted
from ..settings.keymap import Keymap
from ..style.inks import Ink
from ..style.theme import palette_of
from ..views.glossary import glossary_lines
from ..views.keys import help_lines, help_width
from ..views.tried import tried_lines
from ..widgets.lines import LinesView
from ..widgets.palette import dismiss_if_on_top
from ..widgets.panel import Panel


class Dialog(ModalScreen[None]):
    """A framed list of lines that scrolls."""

    title_text: str

    def dismiss(self, result: None = None) -> AwaitComplete:
        return dismiss_if_on_top(self, super().dismiss)

    def lines(self) -> Sequence[Line]:
        """What it says."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        panel = Panel(self.title_text)
        panel.set_headline(line(muted("esc closes")))
        with panel, VerticalScroll():
            yield LinesView(self.lines())


class HelpScreen(Dialog):
    """Every key and what it does, those of the tab at hand first, and words that need one. Closed
    by escape, `q` or the key that opened it."""

    BINDINGS = [Binding("escape,q,question_mark", "dismiss", "Close", show=False)]
    title_text = "Keys and words"

    def __init__(self, keymap: Keymap, tab: str, about: Sequence[Line] = ()) -> None:
        """`tab` is the one at hand; `about` says more of what is at hand in it."""
        super().__init__()
        self._keymap, self._tab, self._about = keymap, tab, about

    def lines(self) -> Sequence[Line]:
        words = glossary_lines(help_width(self.app.size.width), palette_of(self.app).glyphs)
        keys = help_lines(self._keymap, self._tab, self._about)
        return [*keys, EMPTY, line(Piece("Words", Ink.TITLE)), *words]


class TriedScreen(Dialog):
    """Every choice of settings since the start with its steady figures. Closed by escape, `q` or
    `c`."""

    BINDINGS = [Binding("escape,q,c", "dismiss", "Close", show=False)]
    title_text = "What was tried"

    WIDEST = 116
    """As in the style sheet."""
    FRAME = 5
    """Cells of the frame, its padding and the scroll bar."""

    def __init__(self, records: tuple[Tried, ...], in_use: Choice | None) -> None:
        super().__init__()
        self._records, self._in_use = records, in_use

    def lines(self) -> Sequence[Line]:
        width = min(self.app.size.width, self.WIDEST) - self.FRAME
        return tried_lines(self._records, self._in_use, width, palette_of(self.app).glyphs)
