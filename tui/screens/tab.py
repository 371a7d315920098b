"""What every tab is: a screen that draws moments on a board of panels."""

from collections.abc import Mapping, Sequence

from textual import events
from textual.binding import BindingsMap
from textual.screen import Screen

from ...engine.records.snapshot import PlanRecord
from ..drawing.line import EMPTY, Line, centred, strong
from ..settings.keymap import Keymap
from ..state.moment import Moment
from ..state.playhead import Timeline
from ..widgets.board import Board
from ..widgets.lines import LinesView

MIN_WIDTH, MIN_HEIGHT = 60, 18
"""The smallest terminal that shows anything worth reading."""


def fits(width: int, height: int) -> bool:
    """Whether a terminal is large enough."""
    return width >= MIN_WIDTH and height >= MIN_HEIGHT


class TabScreen(Screen[None]):
    """Drawn by the app at every tick while it is in view, and not at all while it is not.

    A subclass composes a `Board`, and a `LinesView` with the id `too-small`.
    """

    AUTO_FOCUS = ""

    def __init__(self, keymap: Keymap, *, id: str) -> None:  # noqa: A002 (Textual's name for it)
        """`id` is the tab's name: keys that work in this tab alone are bound here."""
        super().__init__(id=id)
        self._keymap = keymap
        self._maximized: str | None = None
        self._bindings = BindingsMap.merge([self._bindings, BindingsMap(keymap.bindings(id))])

    @property
    def can_draw(self) -> bool:
        """Whether its panels are there to be drawn: they come when it is mounted, and an app that
        closes takes them away while this still takes messages."""
        return self.is_mounted and self.app.is_running

    @property
    def is_too_small(self) -> bool:
        return self.has_class("-too-small")

    @property
    def is_typing(self) -> bool:
        """Whether what is typed goes into a form."""
        return False

    def show(self, moment: Moment, timeline: Timeline) -> None:
        """Draw a moment: only what changed."""
        raise NotImplementedError

    def about(self) -> Sequence[Line]:
        """What the help says first: what is at hand in this tab."""
        return ()

    def redraw(self) -> None:
        """Draw the same again in a terminal of another size."""
        raise NotImplementedError

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        self.set_class(not fits(width, height), "-too-small")
        text = f"{width}x{height} is too small: prodtop needs {MIN_WIDTH}x{MIN_HEIGHT}"
        blank = [EMPTY] * (height // 2)
        self.query_one("#too-small", LinesView).set_lines([*blank, centred(strong(text), width)])
        self.redraw()

    @property
    def step_s(self) -> float:
        """How far a step of the cursor goes."""
        return 1.0

    def toggle_maximized(self) -> bool:
        """Give the focused panel all the room, or put it back; `False` if there is none."""
        if self._maximized is not None:
            self._maximized = None
        elif self.focused is not None and self.focused.id is not None:
            self._maximized = self.focused.id
        else:
            return False
        self.rearrange()
        return True

    def view_state(self) -> dict[str, str]:
        """How it is looked at: what a snapshot keeps of it."""
        focus = None if self.focused is None else self.focused.id
        state = {"maximized": self._maximized, "focus": focus}
        return {name: panel for name, panel in state.items() if panel is not None}

    def plan(self) -> PlanRecord | None:
        """The plan that it shows, for a snapshot; `None` in all tabs but one."""
        return None

    def restore_view(self, state: Mapping[str, str]) -> None:
        """Look at it as `view_state` said of another screen; what does not fit is passed over."""
        panels = {each.id: each for each in self.query_one(Board).children}
        if state.get("maximized") in panels:
            self._maximized = state["maximized"]
        focused = panels.get(state.get("focus"))
        if focused is not None and focused.focusable:
            self.set_focus(focused)
        self.rearrange()

    def rearrange(self) -> None:
        """Place the panels anew: what their places depend on has changed."""
        self.query_one(Board).rearrange()
