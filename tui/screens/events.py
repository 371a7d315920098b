"""The log of a session on the whole screen: searched, and gone to."""

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen
from textual.widgets import Input

from ..drawing.line import line, muted
from ..state.stops import Stop, matching
from ..style.theme import palette_of
from ..views.event_list import event_rows
from ..widgets.command_input import CommandInput
from ..widgets.lines import LinesView
from ..widgets.panel import Panel

PAGE = 10
_STEPS = {"up": -1, "down": 1, "pageup": -PAGE, "pagedown": PAGE}


class _SearchInput(CommandInput):
    """What is typed is searched for; keys that move choose a row."""

    def _carry_out(self, key: str) -> bool:
        screen = self.screen
        if isinstance(screen, EventsScreen) and key in _STEPS:
            screen.action_move(_STEPS[key])
            return True
        return super()._carry_out(key)


class EventsScreen(ModalScreen[float | None]):
    """Every event, the newest first. Returns the time of the one that was chosen; `None` where it
    was left. Closed by escape, `q` or the key that opened it, while nothing is typed."""

    BINDINGS = [
        Binding("escape,q,e", "leave", "Close", show=False),
        Binding("slash", "search", "Search", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", f"move({-PAGE})", show=False),
        Binding("pagedown", f"move({PAGE})", show=False),
        Binding("home", "move(-100000)", show=False),
        Binding("end", "move(100000)", show=False),
        Binding("enter", "take_chosen", "Go there", show=False),
    ]
    AUTO_FOCUS = ""

    def __init__(self, stops: Sequence[Stop], at_s: float, *, searching: bool = False) -> None:
        """`stops` in order of time; `at_s` is the moment that is shown: its row is chosen."""
        super().__init__()
        self._all = list(reversed(stops))
        self._found = self._all
        self._at_s = at_s
        self._chosen = self._nearest()
        self._searching = searching
        self._input = _SearchInput((), lambda typed: typed, self._typed, placeholder="search")

    def _nearest(self) -> int:
        """The last one that had happened by then."""
        places = (place for place, stop in enumerate(self._found) if stop.wall_s <= self._at_s)
        return next(places, max(0, len(self._found) - 1))

    def compose(self) -> ComposeResult:
        panel = Panel("Events")
        panel.set_headline(line(muted("enter goes there   / searches   esc closes")))
        with panel:
            yield LinesView(id="rows")
            yield self._input

    def on_mount(self) -> None:
        self._input.display = self._searching
        if self._searching:
            self.set_focus(self._input)
        self.call_after_refresh(self._show)

    def on_resize(self, _event: events.Resize) -> None:
        self.call_after_refresh(self._show)

    def on_input_changed(self, event: Input.Changed) -> None:
        self._found = matching(self._all, event.value)
        self._chosen = self._nearest()
        self._show()

    def _show(self) -> None:
        view = self.query_one("#rows", LinesView)
        width, height = view.size
        glyphs = palette_of(self.app).glyphs
        view.set_lines(event_rows(self._found, self._chosen, max(1, height), width, glyphs))

    def _typed(self, text: str) -> None:
        """Enter takes the chosen row; escape, which gives no text, closes."""
        if text:
            self.action_take_chosen()
        else:
            self.action_leave()

    def action_search(self) -> None:
        self._input.display = True
        self.set_focus(self._input)

    def action_move(self, rows: int) -> None:
        self._chosen = min(max(0, self._chosen + rows), max(0, len(self._found) - 1))
        self._show()

    def action_take(self, place: int) -> None:
        """Go to a row."""
        if place < len(self._found):
            self._close(self._found[place].wall_s)

    def action_take_chosen(self) -> None:
        self.action_take(self._chosen)

    def action_leave(self) -> None:
        self._close(None)

    def _close(self, wall_s: float | None) -> None:
        # Two keys in one breath would close the screen below as well.
        if self.app.screen is self:
            self.dismiss(wall_s)
