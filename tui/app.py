"""The Textual app: polls the engine on one timer, and hands each moment to the tab in view."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from textual import events
from textual.app import SystemCommand
from textual.binding import BindingsMap
from textual.screen import Screen

from ..engine.client.local_engine import EngineClient
from ..engine.protocol import Fault, PrecisionName, StrategyName
from .app_setup import USUAL_SETUP, AppSetup
from .drawing.span_update import clean_update
from .lent_terminal import NotLentError, lend
from .screens.command_screen import CommandScreen
from .screens.dialogs import HelpScreen, TriedScreen
from .screens.later_tabs import LATER_TABS
from .screens.live import LiveScreen
from .screens.opened_tabs import OpenedTabs
from .screens.palette_commands import palette_commands
from .screens.tab import TabScreen
from .settings.config import ConfigError
from .settings.keymap import DEFAULT_KEYMAP, FLEET, LIVE
from .state.monitor import Monitor
from .state.settable import Standing
from .state.snapshot import save_seen
from .state.tried import choice_of
from .style.theme import declines_color, fitting_theme, load_themes
from .terminal_driver import TerminalDriver
from .walking_app import WalkingApp
from .widgets.palette import Palette, is_of_a_closed_palette
from .widgets.panel import Panel
from .widgets.requests_panel import RequestsPanel

if TYPE_CHECKING:
    from .screens.sessions import SessionsScreen

UNFOCUSED_INTERVAL_S = 2.0
QUIET_INTERVAL_S = 1.0
"""How often ages and clocks are drawn while nothing else changes."""


class ProdtopApp(WalkingApp):
    """The screen over one engine. Where a fatal fault closed it, `fault` says which."""

    CSS_PATH = "app.tcss"
    TITLE = "prodtop"
    ALLOW_SELECT = False
    DEFAULT_MODE = LIVE
    BINDINGS = [*DEFAULT_KEYMAP.bindings()]

    def __init__(
        self,
        client: EngineClient,
        setup: AppSetup = USUAL_SETUP,
        *,
        monitor: Monitor | None = None,
    ) -> None:
        """Raises `ThemeError` for an unknown theme of `setup`; one of the config's, whose file may
        be broken, is told on the screen. `monitor`: another kind than that of a live engine."""
        # Both look at NO_COLOR, which Textual takes out of the environment.
        colorless, fitting = declines_color(), fitting_theme()
        super().__init__(driver_class=TerminalDriver, ansi_color=True if colorless else None)
        self._leaving = False
        self.saved: list[Path] = []
        """The snapshots of this session: their JSON files."""
        self._entered: list[str] = []
        """The lines of the command line, the oldest first."""
        self.monitor = monitor or Monitor(client, setup.config, clock=setup.clock)
        self._keymap_in_use = keymap = setup.keymap
        self._book = setup.themes or load_themes()
        self._clock = setup.clock
        self._snapshot_folder = setup.snapshot_folder
        self._config_watch = setup.config_watch
        self._drawn_at_s = float("-inf")
        self._changed = True
        self._in_focus = True
        self.animation_level = "none"
        # Before anything is drawn: the style sheet uses variables that only our themes have.
        self._book.register(self)
        chosen, self._theme_problems = self._book.choose(
            setup.theme, self.monitor.config.theme, fitting
        )
        self.theme = chosen.name
        self._lent = False
        """Another screen has the terminal."""
        self._opened = OpenedTabs()
        self.add_mode(LIVE, partial(self._opened.make, LIVE, partial(LiveScreen, keymap)))
        for tab, make in LATER_TABS.items():
            self.add_mode(tab, partial(self._opened.make, tab, partial(make, keymap, self.monitor)))
        if keymap is not DEFAULT_KEYMAP:
            self._bindings = BindingsMap(keymap.bindings())

    @property
    def fault(self) -> Fault | None:
        """The fatal fault that closed the app."""
        return self.monitor.fault

    def _fatal_error(self) -> None:
        """Called by Textual for an error that nobody caught: its traceback is not for the terminal.
        The command line tells of it in one line."""
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        """Called by Textual at the end, for what it would print of errors."""
        self._exit_renderables.clear()

    @property
    def defect(self) -> Exception | None:
        """The error that nobody caught, and that closed the app."""
        return self._exception

    def _handle_exception(self, error: Exception) -> None:
        if not is_of_a_closed_palette(error):
            super()._handle_exception(error)

    def leave(self) -> None:
        """Close the app soon. May be called from a signal handler, and by any thread."""
        self._leaving = True
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self.exit)

    def action_command_palette(self) -> None:
        if self.use_command_palette and not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def on_mount(self) -> None:
        if self._leaving:
            self.exit()
        self.theme_changed_signal.subscribe(self, lambda _theme: self.redraw_soon())
        # After ctrl+z and fg nothing of the screen is left, and Textual draws what changes alone.
        self.app_resume_signal.subscribe(self, lambda _app: self.refresh(layout=True))
        for error in self._theme_problems:
            self.monitor.say(str(error), fault=True)
        self.set_interval(1 / self.monitor.config.refresh_hz, self.tick)
        self.redraw_soon()

    def on_resize(self) -> None:
        self.redraw_soon()

    def on_unmount(self) -> None:
        self.monitor.close()

    def on_app_blur(self, _event: events.AppBlur) -> None:
        self._in_focus = False

    def on_app_focus(self, _event: events.AppFocus) -> None:
        self._in_focus = True
        self.redraw_soon()

    # Drawing

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Called by Textual with what is to be sent to the terminal."""
        if not self._lent:
            super()._display(screen, clean_update(renderable))

    def tick(self) -> None:
        """Take in what the engine reports, and draw it when it is time to."""
        self._changed |= self.take_in()
        self._follow_config()
        if self.fault is not None:
            self.exit(return_code=self.fault.exit_code)
            return
        since_s = self._clock() - self._drawn_at_s
        if self._lent or since_s < self._least_interval_s() or self._terminal_is_behind():
            return
        self.draw()

    def take_in(self) -> bool:
        """Take in what the engine reports; whether there was anything."""
        return self.monitor.poll()

    def _follow_config(self) -> None:
        """Take over limits and prices of a config file that was changed; say of a wrong one that it
        is."""
        if self._config_watch is None:
            return
        try:
            config = self._config_watch.changed(self._clock())
        except ConfigError as error:
            self.monitor.say(str(error), fault=True)
            return
        if config is not None:
            self.monitor.take_over(config)

    def _least_interval_s(self) -> float:
        if not self._in_focus:
            return UNFOCUSED_INTERVAL_S
        if self._changed and not self.monitor.playhead.frozen:
            return 0.0
        return QUIET_INTERVAL_S

    def _terminal_is_behind(self) -> bool:
        """Whether the terminal has not taken in the last frames yet: over a slow line, drawing
        more would first queue up and then block. (Textual offers no public way to ask.)"""
        queue = getattr(getattr(self._driver, "_writer_thread", None), "_queue", None)
        return queue is not None and queue.qsize() > 0

    def redraw_soon(self) -> None:
        """Draw once the layout has settled."""
        self.call_after_refresh(self.draw)

    def draw(self) -> None:
        """Draw the moment on the tab in view."""
        tab = self._tab()
        if tab is None or not tab.can_draw:
            return
        self._drawn_at_s = self._clock()
        self._changed = False
        tab.show(self.monitor.moment(), self.monitor.timeline())

    def _tab(self) -> TabScreen | None:
        """The tab in view; it stays in view under a dialog."""
        base = self.screen_stack[0] if self.screen_stack else None
        return base if isinstance(base, TabScreen) else None

    # Actions: what the keys of the keymap call

    def action_tab(self, name: str) -> None:
        """Bring another tab into view."""
        if name == FLEET and self.monitor.moment().fleet is None:
            self.monitor.say("no fleet: attach to several servers, prodtop attach URL URL")
            self.draw()
        elif self.current_mode != name:
            self.switch_mode(name)
            self.redraw_soon()

    def action_strategy(self, name: str) -> None:
        self.monitor.choose_strategy(StrategyName(name))
        self.draw()

    def action_precision(self, direction: int) -> None:
        self.monitor.step_precision(direction)
        self.draw()

    def action_choose_precision(self, name: str) -> None:
        self.monitor.choose_precision(PrecisionName(name))
        self.draw()

    def action_drafts(self) -> None:
        self.monitor.toggle_drafts()
        self.draw()

    def action_start_again(self) -> None:
        self.monitor.start_again()
        self.draw()

    def action_load(self, direction: int) -> None:
        self.monitor.step_load(direction)
        self.draw()

    def action_load_level(self, level: float) -> None:
        self.monitor.set_load_level(level)
        self.draw()

    def action_record(self) -> None:
        self.monitor.toggle_recording()
        self.draw()

    def action_next_theme(self) -> None:
        self.theme = self._book.after(self.theme)
        self.monitor.say(f"theme {self.theme}")

    def action_choose_theme(self, name: str) -> None:
        self.theme = name

    def action_maximize_panel(self) -> None:
        tab = self._tab()
        if tab is not None and not tab.toggle_maximized():
            self.monitor.say("choose a panel with tab first, then maximise it")
        self.redraw_soon()

    def action_copy(self) -> None:
        """Hand text to the terminal's clipboard (OSC 52): it is our own, and clean."""
        shown = [panel for panel in self.screen.query(Panel) if panel.display]
        focused = [panel for panel in shown if panel.has_pseudo_class("focus-within")]
        panels = focused or shown
        alone = len(panels) == 1
        text = panels[0].text if alone else "\n".join(panel.heading for panel in panels)
        self.copy_to_clipboard(text)
        what = panels[0].heading if alone else f"the headlines of {len(panels)} panels"
        self.monitor.say(f"copied, if this terminal allows it: {what}")
        self.draw()

    def action_help(self) -> None:
        tab = self._tab()
        about = tab.about() if tab is not None else ()
        self.push_screen(HelpScreen(self._keymap_in_use, self.current_mode, about))

    async def action_set(self) -> None:
        """Open the command line; what is entered there is carried out."""
        screen = CommandScreen(self._standing, self._entered)
        # Waited for: keys that come in one breath with the first are meant for the line.
        await self.push_screen(screen, self._run_entered)
        screen.take_keys()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Called by Textual before an action: the command line opens over a tab alone, and not
        where text is being typed."""
        if action != "set":
            return super().check_action(action, parameters)
        return isinstance(self.screen, TabScreen) and not self.screen.is_typing

    def _standing(self) -> Standing:
        return self.monitor.standing(themes=(*self._book.themes,))

    def _run_entered(self, text: str | None) -> None:
        if not text or not text.strip():
            return
        self._entered.append(text)
        action = self.monitor.run_line(text, self._standing())
        if action is not None:
            self.run_worker(self.run_action(action))
        self.draw()

    def action_tried(self) -> None:
        frame = self.monitor.moment().frame
        in_use = None if frame is None else choice_of(frame)
        self.push_screen(TriedScreen(self.monitor.all_tried, in_use))

    def action_snapshot(self) -> None:
        """Save what is shown; the event line says where, or why not."""
        seen = self._opened.seen(self.theme, self.current_mode)
        path = save_seen(self.monitor, seen, self.export_screenshot(), self._snapshot_folder)
        if path is not None:
            self.saved.append(path)
        self.draw()

    def on_sessions_screen_open(self, message: "SessionsScreen.Open") -> None:
        self.run_worker(self._lend(message.path), group="lend", exclusive=True)

    async def _lend(self, path: Path) -> None:
        """Show a kept file on the whole terminal; collection goes on meanwhile."""
        self._lent = True
        try:
            # A snapshot brings its own.
            theme = ["--theme", self.theme] if path.suffix != ".json" else []
            await lend(self, ["replay", str(path), *theme])
        except NotLentError as error:
            self.monitor.say(str(error), fault=True)
        finally:
            self._lent = False
            self.redraw_soon()

    def on_requests_panel_inspected(self, message: RequestsPanel.Inspected) -> None:
        """The table's panel asks for a request's timeline."""
        self.monitor.inspect_request(message.key)
        self.redraw_soon()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Everything that a key does, and the choices that have no key of their own."""
        return palette_commands(
            self.run_action, self._keymap_in_use, self.current_mode, self._book.themes.values()
        )
