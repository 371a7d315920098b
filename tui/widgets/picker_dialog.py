"""The dialog over the form: a list that typing filters, to pick a model or a GPU type from."""

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen

from ..drawing.line import Line, line, muted
from ..planner.picker import Picker
from ..style.theme import palette_of
from ..views.panel import Room
from ..views.planner.picker import picker_lines
from .lines import LinesView
from .panel import Panel

MOVES = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10, "home": -9999, "end": 9999}


class PickerDialog(ModalScreen[str | None]):
    """Typing filters, ↑ ↓ choose, enter takes, escape leaves. Dismissed with what was taken."""

    DEFAULT_CSS = """
    PickerDialog > Panel { height: 90%; max-height: 30; }
    PickerDialog LinesView { height: 1fr; }
    """

    def __init__(self, picker: Picker) -> None:
        super().__init__()
        self._picker = picker
        self._done = False

    def compose(self) -> ComposeResult:
        panel = Panel(self._picker.title)
        panel.set_headline(line(muted("enter takes, esc leaves")))
        with panel:
            yield LinesView()

    def on_mount(self) -> None:
        self.call_after_refresh(self._draw)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def on_key(self, event: events.Key) -> None:
        self.take_key(event)

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self._show(self._picker.typed(event.text.strip()))

    def take_key(self, event: events.Key) -> None:
        """A key, whether it came here or to the form before this was in sight. What goes with ctrl
        means the same everywhere, but for emptying the filter."""
        key = event.key
        if key == "escape":
            self._close(None)
        elif key == "enter":
            self._close(self._picker.taken)
        elif key in MOVES:
            self._show(self._picker.moved(MOVES[key]))
        elif key == "backspace":
            self._show(self._picker.erased())
        elif key == "ctrl+u":
            self._show(self._picker.emptied())
        elif event.character is not None and event.character.isprintable():
            self._show(self._picker.typed(event.character))
        else:
            return
        event.stop()
        event.prevent_default()

    def _close(self, taken: str | None) -> None:
        """Once: Textual's `dismiss` closes whatever lies on top."""
        if not self._done:
            self._done = True
            self.dismiss(taken)

    def _show(self, picker: Picker) -> None:
        self._picker = picker
        self._draw()

    def _draw(self) -> None:
        for view in self.query(LinesView):
            self._draw_in(view)

    def _draw_in(self, view: LinesView) -> None:
        width, height = view.size
        if width > 0 and height > 0:
            room = Room(width, height, palette_of(self.app).glyphs)
            lines: list[Line] = picker_lines(self._picker, room)
            view.set_lines(lines + [Line()] * (height - len(lines)))
