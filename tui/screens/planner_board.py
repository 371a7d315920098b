"""What the Planner tab draws: its panels, laid out for the view that is chosen."""

from collections.abc import Mapping

from textual import events
from textual.app import ComposeResult
from textual.geometry import Region

from ..planner.session import Session
from ..settings.keymap import Keymap
from ..state.moment import Moment
from ..style.theme import look_of
from ..views.line import EMPTY, Line, centred, in_glyphs, line, strong
from ..views.panel import Room
from ..views.planner.curves import CURVES, PLACES
from ..views.planner.form import derived_words
from ..views.planner.frame import Focus, footer_lines, hint_line, planner_header, views_line
from ..widgets.board import Board
from ..widgets.curve_panel import CurvePanel
from ..widgets.form_panel import FormPanel
from ..widgets.lines import LinesView
from ..widgets.rows_panel import RowsPanel
from .plan import MIN_HEIGHT, MIN_WIDTH, fits
from .planner_panels import BESIDE, ROW_VIEWS, Shown, row_view, show_curves
from .planner_plan import regions
from .tab import TabScreen


class PlannerBoard(TabScreen):
    """The panels of the tab and the lines around them, drawn from a session."""

    def __init__(self, keymap: Keymap, session: Session) -> None:
        super().__init__(keymap, id="planner")
        self._keymap = keymap
        self._session = session
        self._moment: Moment | None = None
        self._view = "overview"
        self._page = 0
        self._maximized: str | None = None
        self._note = EMPTY

    def compose(self) -> ComposeResult:
        yield LinesView((EMPTY,), id="header")
        yield LinesView((EMPTY,), id="views")
        yield Board(
            FormPanel(self._session.form, id="form"),
            *(RowsPanel(id=name) for name in ROW_VIEWS),
            *(
                CurvePanel(
                    PLACES,
                    unit=curve.unit,
                    top=curve.top,
                    logarithmic=curve.logarithmic,
                    id=name,
                )
                for name, curve in CURVES.items()
            ),
            plan=self._plan,
        )
        yield LinesView((EMPTY,), id="event")
        yield LinesView((EMPTY,), id="footer")
        yield LinesView(id="too-small")

    def _plan(self, width: int, height: int) -> Mapping[str, Region]:
        return regions(self._view, width, height, page=self._page, maximized=self._maximized)

    def toggle_maximized(self) -> bool:
        if self._maximized is not None:
            self._maximized = None
        elif self.focused is not None and self.focused.id is not None:
            self._maximized = self.focused.id
        else:
            return False
        self._replan()
        return True

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        self.set_class(not fits(width, height), "-too-small")
        text = f"{width}x{height} is too small: prodtop needs {MIN_WIDTH}x{MIN_HEIGHT}"
        blank = [EMPTY] * (height // 2)
        self.query_one("#too-small", LinesView).set_lines([*blank, centred(strong(text), width)])
        self.call_after_refresh(self._draw)

    def _say(self, text: str) -> None:
        """Say something in the bottom line until the form changes."""
        self._note = line(in_glyphs(text, look_of(self.app).glyphs))
        self._draw_frame()

    # Panels that ask to be drawn

    def on_rows_panel_resized(self, message: RowsPanel.Resized) -> None:
        name = message.panel.id
        if name is not None:
            self._draw_rows(name, *([BESIDE[name]] if name in BESIDE else []))

    def on_curve_panel_resized(self, message: CurvePanel.Resized) -> None:
        show_curves([message.panel], self._session)

    def on_rows_panel_moved(self, message: RowsPanel.Moved) -> None:
        if message.panel.id in BESIDE:
            self._draw_rows(BESIDE[message.panel.id])

    def on_descendant_focus(self) -> None:
        self._draw_frame()

    # Drawing

    def _replan(self) -> None:
        self.query_one(Board).replan()
        if self.focused is None or not self.focused.display:
            first = next((panel for panel in self.query("#form, RowsPanel") if panel.display), None)
            self.set_focus(first)
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        if self.has_class("-too-small") or not self.stands:
            return
        self._draw_frame()
        self._draw_form()
        self._draw_rows(*ROW_VIEWS)
        self._draw_curves()

    def _draw_rows(self, *names: str) -> None:
        session = self._session
        if session.evaluation is None:
            return
        for name in names:
            panel = self.query_one(f"#{name}", RowsPanel)
            if not panel.display or not panel.size.width:
                continue
            room = Room(panel.size.width, panel.size.height, look_of(self.app).glyphs)
            # Only now: what lies beside a table follows its cursor, which may just have moved.
            targets = {table: self.query_one(f"#{table}", RowsPanel).target for table in BESIDE}
            save_key = self._keymap.shown("planner_save")
            panel.show(row_view(name, Shown(session, session.evaluation, targets, save_key), room))

    def _draw_curves(self) -> None:
        charts = [chart for chart in self.query(CurvePanel) if chart.display]
        show_curves(charts, self._session)

    def _draw_form(self) -> None:
        session, words = self._session, {}
        if session.evaluation is not None and not session.errors:
            glyphs = look_of(self.app).glyphs
            words = derived_words(session.evaluation.plan, session.data, glyphs)
        self.query_one(FormPanel).show(session.form, session.errors, words)

    def _draw_frame(self) -> None:
        if self._moment is None or self.has_class("-too-small") or not self.stands:
            return
        session = self._session
        room = Room(self.size.width, 1, look_of(self.app).glyphs)
        focus = self._focus()
        errors = len(session.errors)
        lines: tuple[tuple[str, Line], ...] = (
            ("header", planner_header(self._moment, session.evaluation, room)),
            ("views", views_line(self._view, self._keymap, room)),
            ("event", hint_line(session.form, errors, session.doing, self._note, room)),
            ("footer", footer_lines(self._keymap, room, focus)),
        )
        for name, shown in lines:
            self.query_one(f"#{name}", LinesView).set_lines((shown,))

    def _focus(self) -> Focus:
        if isinstance(self.focused, FormPanel):
            return Focus.FORM if self._session.form.editing is None else Focus.TYPING
        return Focus.CHART if isinstance(self.focused, CurvePanel) else Focus.ROWS
