"""What the Planner tab draws: its panels, laid out for the view that is chosen."""

from collections.abc import Mapping, Sequence

from textual.app import ComposeResult
from textual.geometry import Region

from ..drawing.line import EMPTY, Line, in_glyphs, line
from ..planner.picker import PICKED
from ..planner.session import Session
from ..settings.keymap import PLANNER, Keymap
from ..state.moment import Moment
from ..style.theme import palette_of
from ..views.keys import help_width
from ..views.panel import Room
from ..views.planner.curves import CURVES, PLACES
from ..views.planner.field_help import field_about
from ..views.planner.form import derived_words
from ..views.planner.header_footer import Focus, footer_line, hint_line, planner_header, views_line
from ..widgets.board import Board
from ..widgets.curve_panel import CurvePanel
from ..widgets.form_panel import FormPanel
from ..widgets.lines import LinesView
from ..widgets.rows_panel import RowsPanel
from .planner_panels import BESIDE, ROW_VIEWS, TabContent, show_curves
from .planner_placement import pages, place_panels
from .tab import TabScreen


class PlannerBoard(TabScreen):
    """The panels of the tab and the lines around them, drawn from a session."""

    def __init__(self, keymap: Keymap, session: Session) -> None:
        super().__init__(keymap, id=PLANNER)
        self.session = session
        self._moment: Moment | None = None
        self._view = "overview"
        self._page = 0
        self._note = EMPTY

    def compose(self) -> ComposeResult:
        yield LinesView((EMPTY,), id="header")
        yield LinesView((EMPTY,), id="views")
        yield Board(
            FormPanel(self.session.form, id="form"),
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
            place=self._place_panels,
        )
        yield LinesView((EMPTY,), id="event")
        yield LinesView((EMPTY,), id="footer")
        yield LinesView(id="too-small")

    def _place_panels(self, width: int, height: int) -> Mapping[str, Region]:
        # In a terminal that has grown a view may have fewer pages than before.
        page = min(self._page, pages(self._view, width, height) - 1)
        return place_panels(self._view, width, height, page=page, maximized=self._maximized)

    def about(self) -> Sequence[Line]:
        if not isinstance(self.focused, FormPanel):
            return ()
        room = Room(help_width(self.size.width), 1, palette_of(self.app).glyphs)
        return field_about(self.session.form, room)

    def redraw(self) -> None:
        self.call_after_refresh(self._draw)

    def _say(self, text: str) -> None:
        """Say something in the bottom line until the form changes."""
        self._note = line(in_glyphs(text, palette_of(self.app).glyphs))
        self._draw_frame()

    # Panels that ask to be drawn

    def on_rows_panel_resized(self, message: RowsPanel.Resized) -> None:
        name = message.panel.id
        if name is not None:
            self._draw_rows(name, *([BESIDE[name]] if name in BESIDE else []))

    def on_curve_panel_resized(self, message: CurvePanel.Resized) -> None:
        show_curves([message.panel], self.session)

    def on_rows_panel_moved(self, message: RowsPanel.Moved) -> None:
        if message.panel.id in BESIDE:
            self._draw_rows(BESIDE[message.panel.id])

    def on_descendant_focus(self) -> None:
        self._draw_frame()

    # Drawing

    def rearrange(self) -> None:
        super().rearrange()
        if self.focused is None or not self.focused.display:
            first = next((panel for panel in self.query("#form, RowsPanel") if panel.display), None)
            self.set_focus(first)
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        if self.is_too_small or not self.can_draw:
            return
        self._draw_frame()
        self._draw_form()
        self._draw_rows(*ROW_VIEWS)
        self._draw_curves()

    def _draw_rows(self, *names: str) -> None:
        session = self.session
        if session.evaluation is None:
            return
        for name in names:
            panel = self.query_one(f"#{name}", RowsPanel)
            if not panel.display or not panel.size.width:
                continue
            room = Room(panel.size.width, panel.size.height, palette_of(self.app).glyphs)
            # Only now: what lies beside a table follows its cursor, which may just have moved.
            targets = {table: self.query_one(f"#{table}", RowsPanel).target for table in BESIDE}
            save_key = self._keymap.first_key("planner_save")
            content = TabContent(session, session.evaluation, targets, save_key)
            panel.show(ROW_VIEWS[name](content, room))

    def _draw_curves(self) -> None:
        charts = [chart for chart in self.query(CurvePanel) if chart.display]
        show_curves(charts, self.session)

    def _draw_form(self) -> None:
        session, words = self.session, {}
        if session.evaluation is not None and not session.errors:
            glyphs = palette_of(self.app).glyphs
            words = derived_words(session.evaluation.plan, session.data, glyphs)
        self.query_one(FormPanel).show(session.form, session.errors, words, session.data.served)

    def _draw_frame(self) -> None:
        if self._moment is None or self.is_too_small or not self.can_draw:
            return
        session = self.session
        room = Room(self.size.width, 1, palette_of(self.app).glyphs)
        focus = self._focus()
        errors, size = len(session.errors), self.query_one(Board).size
        count = pages(self._view, size.width, size.height) if self._maximized is None else 1
        lines: tuple[tuple[str, Line], ...] = (
            ("header", planner_header(self._moment, session.evaluation, room)),
            ("views", views_line(self._view, self._keymap, room, page=self._page, pages=count)),
            ("event", self._hint(errors, room)),
            ("footer", footer_line(self._keymap, room, focus)),
        )
        for name, shown in lines:
            self.query_one(f"#{name}", LinesView).set_lines((shown,))

    def _hint(self, errors: int, room: Room) -> Line:
        session, help_key = self.session, self._keymap.first_key("help")
        return hint_line(session.form, errors, session.doing, self._note, room, help_key)

    def _focus(self) -> Focus:
        if isinstance(self.focused, FormPanel):
            form = self.session.form
            if form.editing is not None:
                return Focus.TYPING
            return Focus.PICKED if form.key in PICKED else Focus.FORM
        return Focus.CHART if isinstance(self.focused, CurvePanel) else Focus.ROWS
