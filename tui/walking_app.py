"""The keys that walk through time: what they do to a monitor, whatever is shown."""

import math
from typing import TYPE_CHECKING

from textual.app import App

from ..engine.protocol import Window
from ..engine.protocol.errors import BadInputError
from .screens.events import EventsScreen
from .screens.prompt import PromptScreen
from .screens.tab import TabScreen
from .state.go_to import EXPECTED, Session, moment_asked
from .state.monitor import Monitor

if TYPE_CHECKING:
    # Charts draw with numpy, for which the first frame need not wait.
    from .widgets.chart import BrailleChart

PAGES_OF_ALL = 8
"""Where charts span the whole session, a page is such a part of it."""
MOST_NOTE_CHARACTERS = 200


class WalkingApp(App[None]):
    """An app with a place in time. Where that is kept is the monitor's, or a recording's."""

    monitor: Monitor

    def draw(self) -> None:
        """Draw the moment on the tab in view."""
        raise NotImplementedError

    def _tab(self) -> TabScreen | None:
        """The tab in view; it stays in view under a dialog."""
        base = self.screen_stack[0] if self.screen_stack else None
        return base if isinstance(base, TabScreen) else None

    # Where one stands

    def session(self) -> Session | None:
        """What there is to walk through; `None` before the first figures."""
        return self.monitor.session()

    def stand_at(self, wall_s: float) -> None:
        """Show a moment, on the clock of the history."""
        self.monitor.playhead.stand_at(wall_s)

    # Actions: what the keys of the keymap call

    def action_pause(self) -> None:
        self.monitor.playhead.toggle()
        self.draw()

    def action_live(self) -> None:
        self.monitor.playhead.go_live()
        self.draw()

    def action_scrub(self, steps: int) -> None:
        tab = self._tab()
        self._move(steps * (tab.step_s if tab else 1.0))

    def action_scrub_page(self, pages: int) -> None:
        session, span_s = self.session(), self.monitor.timeline().span_s
        if session is not None and not math.isfinite(span_s):
            span_s = (session.end_s - session.begin_s) / PAGES_OF_ALL
        self._move(pages * span_s)

    def _move(self, seconds: float) -> None:
        session = self.session()
        if session is not None:
            wall_s = session.at_s + seconds
            self.stand_at(min(max(wall_s, session.begin_s), session.end_s))
        self.draw()

    def action_scrub_to(self, end: str) -> None:
        session = self.session()
        if session is not None:
            self.stand_at(session.begin_s if end == "start" else session.end_s)
        self.draw()

    def action_stop(self, direction: int) -> None:
        """Go to the next event or spike, or the one before."""
        session = self.session()
        if session is None:
            return
        stop = self.monitor.next_stop(session.at_s, direction)
        if stop is None:
            where = "after" if direction > 0 else "before"
            self.monitor.say(f"no event or spike {where} this")
        else:
            self.stand_at(stop.wall_s)
            self.monitor.say(f"{stop.kind}: {stop.text}")
        self.draw()

    def action_go_to(self) -> None:
        """Ask for a time, and go there."""
        self.push_screen(PromptScreen(f"go to {EXPECTED}"), self._go_to)

    def _go_to(self, text: str | None) -> None:
        session = self.session()
        if text and text.strip() and session is not None:
            try:
                self.stand_at(moment_asked(text, session))
            except BadInputError as error:
                self.monitor.say(str(error), fault=True)
        self.draw()

    def action_events(self, searching: bool) -> None:
        """The log of the session; what is chosen there is gone to."""
        session = self.session()
        at_s = math.inf if session is None else session.at_s
        screen = EventsScreen(self.monitor.all_events(), at_s, searching=searching)
        self.push_screen(screen, self._stand_at_chosen)

    def _stand_at_chosen(self, wall_s: float | None) -> None:
        if wall_s is not None:
            self.stand_at(wall_s)
        self.draw()

    def action_note(self) -> None:
        """Ask for a note, and keep it."""
        self.push_screen(PromptScreen("a note on this moment"), self._note)

    def _note(self, text: str | None) -> None:
        if text and text.strip():
            self.monitor.note(text.strip()[:MOST_NOTE_CHARACTERS])
        self.draw()

    def action_zoom(self, direction: int) -> None:
        """Have charts span less or more of the time."""
        self.monitor.zoom(direction)
        self.draw()

    def action_window(self) -> None:
        self.monitor.next_window()
        self.draw()

    def action_choose_window(self, name: str) -> None:
        self.monitor.set_window(Window(name))
        self.draw()

    def action_play(self, _what: str, _direction: int) -> None:
        self.monitor.say("only a recording is played: this is live")
        self.draw()

    def on_braille_chart_clicked(self, message: "BrailleChart.Clicked") -> None:
        """Show the moment that was clicked in a chart."""
        self.stand_at(message.time_s)
        self.draw()
