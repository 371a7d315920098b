"""The screen over a snapshot: the moment that was saved, and nothing goes on."""

from dataclasses import replace
from typing import TYPE_CHECKING

from ..engine.records.snapshot import Snapshot
from .app import ProdtopApp
from .app_setup import USUAL_SETUP, AppSetup
from .settings.keymap import TAB_TITLES
from .state.snapshot_monitor import NoEngine, SnapshotMonitor
from .style.theme import load_themes

if TYPE_CHECKING:
    from .widgets.chart import BrailleChart

ONE_MOMENT = "a snapshot is one moment: a recording is what can be walked through"


class SnapshotApp(ProdtopApp):
    """Shows a snapshot as it was. Closing it is all that ends it."""

    def __init__(self, snapshot: Snapshot, setup: AppSetup = USUAL_SETUP) -> None:
        """As `ProdtopApp`; without a theme in `setup` it has the snapshot's, where there is that
        one."""
        self._shown = SnapshotMonitor(snapshot, setup.config, user_clock=setup.clock)
        book = setup.themes or load_themes()
        kept = snapshot.settings.theme
        theme = setup.theme or (kept if kept in book.themes else None)
        super().__init__(NoEngine(), replace(setup, theme=theme, themes=book), monitor=self._shown)

    def on_mount(self) -> None:
        super().on_mount()
        tab = self._shown.kept.tab
        if tab in TAB_TITLES and tab != self.current_mode:
            self.action_tab(tab)
        self.call_after_refresh(self._restore_view)

    def _restore_view(self) -> None:
        """Look at the tab in view as it was looked at."""
        tab = self._tab()
        if tab is not None and tab.can_draw and tab.id is not None:
            tab.restore_view(self._shown.kept.views.get(tab.id, {}))
            self.redraw_soon()

    def action_tab(self, name: str) -> None:
        opened_before = name in self._opened
        super().action_tab(name)
        if not opened_before:
            self.call_after_refresh(self._restore_view)

    # Actions: what the keys do here

    def _say_one_moment(self) -> None:
        self.monitor.say(ONE_MOMENT)
        self.draw()

    def action_pause(self) -> None:
        self._say_one_moment()

    def action_live(self) -> None:
        self.draw()

    def action_scrub(self, _steps: int) -> None:
        self._say_one_moment()

    def action_scrub_to(self, _end: str) -> None:
        self._say_one_moment()

    def action_play(self, _what: str, _direction: int) -> None:
        self._say_one_moment()

    def on_braille_chart_clicked(self, _message: "BrailleChart.Clicked") -> None:
        """There is no other moment to go to."""
        self._say_one_moment()
