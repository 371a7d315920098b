"""The planner's form as a panel: turns keys into changes of a `Form`."""

from collections.abc import Mapping

from textual import events
from textual.app import ComposeResult
from textual.message import Message

from ...engine.shape.model_shape import ModelShape
from ..drawing.line import EMPTY, Line, Piece
from ..planner.form import Editing, Form
from ..planner.picker import picker_for
from ..style.inks import Ink
from ..style.theme import palette_of
from ..views.panel import Room
from ..views.planner.form import form_view
from .lines import LinesView
from .panel import Panel
from .picker_dialog import PickerDialog

TYPED = "0123456789."


class FormPanel(Panel, can_focus=True):
    """↑ ↓ choose a field, ← → turn it, digits or enter begin typing, enter ends it, escape takes
    it back. Of a model or a GPU type enter opens the list. Posts `Changed` with every new form."""

    DEFAULT_CSS = """
    FormPanel LinesView { height: 1fr; }
    """

    class Changed(Message):
        """The form is another one; `selection` only: nothing but the chosen field differs."""

        def __init__(self, form: Form, *, selection: bool) -> None:
            super().__init__()
            self.form = form
            self.selection = selection

    def __init__(self, form: Form, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__("Plan", id=id)
        self.form = form
        self._errors: Mapping[str, str] = {}
        self._derived: Mapping[str, str] = {}
        self._served: ModelShape | None = None
        self._picking: PickerDialog | None = None
        self._top = 0

    def compose(self) -> ComposeResult:
        yield LinesView()

    def show(
        self,
        form: Form,
        errors: Mapping[str, str],
        derived: Mapping[str, str],
        served: ModelShape | None = None,
    ) -> None:
        """Draw a form with what is wrong in it and what follows from it. `served` is the model of
        the running engine, to be picked."""
        self.form, self._errors, self._derived, self._served = form, errors, derived, served
        self._draw()

    def on_focus(self) -> None:
        self._draw()

    def on_blur(self) -> None:
        self._change(self.form.committed())
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def on_key(self, event: events.Key) -> None:
        """A key that the form has no use for goes on to the screen."""
        if self._picking is not None:
            # Typed before the list came into sight: meant for it.
            self._picking.take_key(event)
            event.stop()
            event.prevent_default()
            return
        if event.key == "enter" and self.form.editing is None and self._pick():
            event.stop()
            event.prevent_default()
            return
        form = self._after(event)
        if form is not None:
            event.stop()
            event.prevent_default()
            self._change(form)

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        form = self.form if self.form.editing else self.form.begun("")
        if form.editing is not None:
            self._change(form.edited(form.editing.typed(event.text)))

    def _pick(self) -> bool:
        """Open the list of the chosen field; whether it has one."""
        form = self.form
        picker = picker_for(form.key, form.texts[form.key], self._served)
        if picker is None:
            return False

        def take(name: str | None) -> None:
            self._picking = None
            if name is not None:
                self._change(form.with_texts({form.key: name}))

        self._picking = PickerDialog(picker)
        self.app.push_screen(self._picking, take)
        return True

    def _after(self, event: events.Key) -> Form | None:
        """The form after a key; `None` where the key is not for the form."""
        form, key = self.form, event.key
        moves = {"up": -1, "down": 1, "pageup": -8, "pagedown": 8}
        if key in moves:
            return form.moved(moves[key])
        if form.editing is not None:
            return _typing(form, form.editing, key, event.character)
        if key in ("left", "right"):
            return form.stepped(-1 if key == "left" else 1)
        if key in ("enter", "f2"):
            return form.begun()
        if key == "backspace":
            return form.begun("")
        if event.character and event.character in TYPED and form.line.numeric:
            return form.begun(event.character)
        return None

    def _change(self, form: Form) -> None:
        if form != self.form:
            selection = form.current == self.form.current
            self.form = form
            self.post_message(self.Changed(form, selection=selection))

    def _draw(self) -> None:
        width, height = self.size
        if width <= 0 or height <= 0:
            return
        room = Room(width, height, palette_of(self.app).glyphs)
        view = form_view(self.form, self._errors, self._derived, room, focused=self.has_focus)
        last = min(view.last, view.first + height - 1)
        top = min(self._top, max(0, len(view.lines) - height))
        top = min(top, max(0, view.first - 1))
        self._top = max(top, last - height + 1)
        visible = list(view.lines[self._top : self._top + height])
        self.query_one(LinesView).set_lines(visible + [EMPTY] * (height - len(visible)))
        below = len(view.lines) - self._top - height
        more = f"{room.glyphs.arrow_down} {below} more" if below > 0 else ""
        self.set_footnote(Line.of(Piece(more, Ink.MUTED)))


def _typing(form: Form, editing: Editing, key: str, character: str | None) -> Form | None:
    """A key while text is being typed: nothing but control keys goes past the form."""
    match key:
        case "enter" | "tab" | "shift+tab":
            return form.committed()
        case "escape":
            return form.cancelled()
        case "left" | "right":
            return form.edited(editing.moved(editing.caret + (-1 if key == "left" else 1)))
        case "home" | "ctrl+a":
            return form.edited(editing.moved(0))
        case "end" | "ctrl+e":
            return form.edited(editing.moved(len(editing.text)))
        case "backspace" | "delete":
            return form.edited(editing.erased(before=key == "backspace"))
        case "ctrl+u":
            return form.edited(Editing("", 0))
    if character is not None and character.isprintable():
        return form.edited(editing.typed(character))
    return None
