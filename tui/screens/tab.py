"""What every tab is: a screen that draws moments."""

from textual.binding import BindingsMap
from textual.screen import Screen

from ..settings.keymap import Keymap
from ..state.moment import Moment
from ..widgets.figures_panel import Timeline


class TabScreen(Screen[None]):
    """Drawn by the app at every tick while it is in view, and not at all while it is not."""

    AUTO_FOCUS = ""

    def __init__(self, keymap: Keymap, *, id: str) -> None:  # noqa: A002 (Textual's name for it)
        """`id` is the tab's name: keys that work in this tab alone are bound here."""
        super().__init__(id=id)
        self._bindings = BindingsMap.merge([self._bindings, BindingsMap(keymap.bindings(id))])

    @property
    def stands(self) -> bool:
        """Whether its panels are there to be drawn: they come when it is mounted, and an app that
        closes takes them away while this still takes messages."""
        return self.is_mounted and self.app.is_running

    def show(self, moment: Moment, timeline: Timeline) -> None:
        """Draw a moment: only what changed."""
        raise TypeError(f"{type(self).__name__} shows nothing")

    @property
    def step_s(self) -> float:
        """How far a step of the cursor goes."""
        return 1.0

    def toggle_maximized(self) -> bool:
        """Give the focused panel all the room, or put it back; `False` if there is none."""
        return False
