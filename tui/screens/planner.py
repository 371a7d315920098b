"""The Planner tab: a form on the left, what comes of it on the right, at every key."""

from collections.abc import Mapping

from textual import events
from textual.app import ComposeResult
from textual.geometry import Region
from textual.timer import Timer

from ...engine.errors import ProdtopError
from ...engine.planner.serving_capacity.prices import Price
from ..keymap import Keymap
from ..moment import Moment
from ..planner.exports import attempts, save_export
from ..planner.form import Form
from ..planner.search_client import SearchClient
from ..planner.search_messages import Found, PointFound
from ..planner.session import YOURS, Session
from ..theme import look_of
from ..views.line import EMPTY, Line, centred, line, strong
from ..views.panel import Room
from ..views.planner.curves import CURVES, PLACES
from ..views.planner.frame import footer_lines, hint_line, planner_header, views_line
from ..views.planner.words import derived_words
from ..widgets.board import Board
from ..widgets.curve_panel import CurvePanel
from ..widgets.figures_panel import Timeline
from ..widgets.form_panel import FormPanel
from ..widgets.lines import LinesView
from ..widgets.rows_panel import RowsPanel
from .plan import MIN_HEIGHT, MIN_WIDTH, fits
from .planner_panels import BESIDE, ROW_VIEWS, Shown, row_view, show_curves
from .planner_plan import pages, regions
from .tab import TabScreen

SEARCH_AFTER_S = 0.15
"""The search begins once no key has changed the plan for so long."""
FIGURES = ("summary", "memory", "step")
TABLES = ("strategies", "layouts", "front")


class PlannerScreen(TabScreen):
    """Turns keys into changes of the session, and draws the panels of the view that is chosen."""

    def __init__(self, keymap: Keymap, own_prices: Mapping[str, Price]) -> None:
        """`own_prices` are the user's, by GPU key: they go before the packaged ones."""
        super().__init__(keymap, id="planner")
        self._keymap = keymap
        self._session = Session(own_prices=own_prices)
        self._search = SearchClient(self._take_finding, self._say)
        self._search_soon: Timer | None = None
        self._redraw_soon: Timer | None = None
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

    # What the app asks for

    def show(self, moment: Moment, timeline: Timeline) -> None:
        """The engine's state in the header; the panels change with the form alone."""
        first, self._moment = self._moment is None, moment
        served = moment.frame is not None and self._session.take_in(moment.frame.model)
        if first or served:
            self._take_form(self._session.form)
        else:
            self._draw_frame()

    def toggle_maximized(self) -> bool:
        if self._maximized is not None:
            self._maximized = None
        elif self.focused is not None and self.focused.id is not None:
            self._maximized = self.focused.id
        else:
            return False
        self._replan()
        return True

    def on_mount(self) -> None:
        self._session.look_up()
        self.query_one(FormPanel).focus()

    async def on_unmount(self) -> None:
        await self._search.close()

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        self.set_class(not fits(width, height), "-too-small")
        text = f"{width}x{height} is too small: prodtop needs {MIN_WIDTH}x{MIN_HEIGHT}"
        blank = [EMPTY] * (height // 2)
        self.query_one("#too-small", LinesView).set_lines([*blank, centred(strong(text), width)])
        self.call_after_refresh(self._draw)

    # The form, its answer, and the search behind it

    def on_form_panel_changed(self, message: FormPanel.Changed) -> None:
        self._note = EMPTY
        if message.selection:
            self._session.form = message.form
            self._draw_form()
            self._draw_frame()
        else:
            self._take_form(message.form)

    def _take_form(self, form: Form) -> None:
        if self._session.take(form):
            self._session.searched = None
            if self._search_soon is not None:
                self._search_soon.stop()
            self._search_soon = self.set_timer(SEARCH_AFTER_S, self._begin_search)
        self._draw()

    def _begin_search(self) -> None:
        ask = self._session.ask()
        if ask is not None:
            self.run_worker(self._search.ask(ask), group="search", exclusive=True)
            self._draw_frame()

    def _take_finding(self, finding: Found) -> None:
        """Points of curves come by the dozen: they are drawn a few times a second."""
        self._session.found(finding)
        if not isinstance(finding, PointFound):
            self._draw()
        elif self._redraw_soon is None:
            self._redraw_soon = self.set_timer(0.2, self._redraw_curves)

    def _redraw_curves(self) -> None:
        self._redraw_soon = None
        self._draw_curves()
        self._draw_frame()

    def _say(self, text: str) -> None:
        self._note = line(text)
        self._draw_frame()

    # Keys

    def action_view(self, name: str) -> None:
        """Bring a view into sight; asked for again, its next page."""
        if name == self._view:
            size = self.query_one(Board).size
            self._page = (self._page + 1) % pages(name, size.width, size.height)
        else:
            self._view, self._page = name, 0
        self._maximized = None
        self._replan()

    def action_scenario(self, name: str) -> None:
        self._take_form(self._session.scenario(name))

    def action_growing(self) -> None:
        """Charts with the batch kept, or growing with the cluster."""
        self._session.growing = not self._session.growing
        self._take_form(self._session.form)

    def action_use(self) -> None:
        """Take over the layout of the chosen row, or the best one that was found."""
        session, panel = self._session, self.focused
        chosen = panel.target if isinstance(panel, RowsPanel) and panel.id in TABLES else None
        result = session.best() if chosen is None else session.layout_of(chosen)
        if result is None:
            self._say("no layout to take over yet")
        else:
            self._take_form(session.using(result))
            self._say(f"taken over: {result.layout.shorthand}")

    def action_save(self) -> None:
        """Save the export under the cursor; the line at the bottom says where."""
        shown = self._session.answer
        if self._view != "export" or shown is None:
            self._say("choose a configuration in the export view first")
            return
        engine = self.query_one("#engines", RowsPanel).target
        chosen = next((one for one in attempts(shown.plan) if one.engine == engine), None)
        if chosen is None or chosen.result is None:
            self._say(chosen.reason or "" if chosen is not None else "nothing to save")
            return
        try:
            folder = save_export(chosen.result, shown.plan, chosen.engine)
        except ProdtopError as error:
            self._say(str(error))
        else:
            self._say(f"saved: {folder / chosen.result.file_name} and launch.sh")

    def on_rows_panel_opened(self, message: RowsPanel.Opened) -> None:
        """A figure opens into its formula, a layout into its figures, a formula into its parts."""
        name, target = message.panel.id, message.target
        if name == "tree":
            self._session.toggle(target)
            self._draw_rows("tree", "detail")
        elif name in FIGURES:
            self._open_formulas(YOURS, target)
        elif name in TABLES:
            self._open_formulas(target, None)

    def _open_formulas(self, subject: str, figure: str | None) -> None:
        row = self._session.open_figure(subject, figure)
        tree = self.query_one("#tree", RowsPanel)
        self._view, self._page, self._maximized = "formulas", 0, None
        self._replan()
        tree.focus()
        tree.point_at(row)

    def on_rows_panel_resized(self, message: RowsPanel.Resized) -> None:
        if message.panel.id is not None:
            self._draw_rows(message.panel.id)

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
        if self.has_class("-too-small") or not self.is_mounted:
            return
        self._draw_frame()
        self._draw_form()
        self._draw_rows(*ROW_VIEWS)
        self._draw_curves()

    def _draw_rows(self, *names: str) -> None:
        session = self._session
        if session.answer is None:
            return
        targets = {name: self.query_one(f"#{name}", RowsPanel).target for name in BESIDE}
        save_key = self._keymap.shown("planner_save")
        shown = Shown(session, session.answer, targets, save_key)
        for name in names:
            panel = self.query_one(f"#{name}", RowsPanel)
            if not panel.display or not panel.size.width:
                continue
            room = Room(panel.size.width, panel.size.height, look_of(self.app).glyphs)
            panel.show(row_view(name, shown, room))

    def _draw_curves(self) -> None:
        charts = [chart for chart in self.query(CurvePanel) if chart.display]
        show_curves(charts, self._session)

    def _draw_form(self) -> None:
        reading = self._session.reading
        plan = reading.plan
        words = derived_words(plan, self._session.known, look_of(self.app).glyphs) if plan else {}
        self.query_one(FormPanel).show(self._session.form, reading.errors, words)

    def _draw_frame(self) -> None:
        if self._moment is None or self.has_class("-too-small"):
            return
        session = self._session
        room = Room(self.size.width, 1, look_of(self.app).glyphs)
        typing = session.form.editing is not None
        in_form = isinstance(self.focused, FormPanel)
        errors = len(session.reading.errors)
        lines: tuple[tuple[str, Line], ...] = (
            ("header", planner_header(self._moment, session.answer, room)),
            ("views", views_line(self._view, self._keymap, room)),
            ("event", hint_line(session.form, errors, session.doing, self._note, room)),
            ("footer", footer_lines(self._keymap, room, typing=typing, form=in_form)),
        )
        for name, shown in lines:
            self.query_one(f"#{name}", LinesView).set_lines((shown,))
