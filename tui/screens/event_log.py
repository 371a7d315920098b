"""The event log: every switch, fault and note of the session, the newest first."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from ..state.moment import LogLine
from ..style.look import Ink
from ..style.theme import look_of
from ..views.events import log_rows
from ..views.line import Piece, line, muted
from ..widgets.lines import LinesView
from ..widgets.panel import Panel


class EventLogScreen(ModalScreen[None]):
    """Closed by escape, `q` or `e`."""

    BINDINGS = [Binding("escape,q,e", "dismiss", "Close", show=False)]

    def __init__(self, log: tuple[LogLine, ...]) -> None:
        super().__init__()
        self._log = log

    def compose(self) -> ComposeResult:
        panel = Panel("Events")
        panel.set_headline(line(Piece("esc closes", Ink.MUTED)))
        rows = log_rows(self._log, look_of(self.app).glyphs)
        with panel, VerticalScroll():
            yield LinesView(rows or [line(muted("no events yet"))])
