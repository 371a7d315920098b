"""The Planner tab: a form on the left, what comes of it on the right, at every key."""

from collections.abc import Mapping

from textual.timer import Timer

from ...engine.planner.serving_capacity.prices import Price
from ...engine.protocol.errors import ProdtopError
from ...engine.records.snapshot import PlanRecord
from ...engine.text.cleaning import clean
from ..drawing.line import EMPTY
from ..planner.calibrating import Calibrator, refusal
from ..planner.exports import attempts, save_export
from ..planner.form import KEYS, Form
from ..planner.kept_plan import plan_record
from ..planner.search_client import SearchClient
from ..planner.search_messages import Finding, PointFound
from ..planner.session import YOURS, Session
from ..settings.keymap import Keymap
from ..state.moment import Moment
from ..state.playhead import Timeline
from ..views.planner.header_footer import VIEW_TITLES
from ..widgets.board import Board
from ..widgets.form_panel import FormPanel
from ..widgets.rows_panel import RowsPanel
from .planner_board import PlannerBoard
from .planner_placement import pages

SEARCH_AFTER_S = 0.15
"""The search begins once no key has changed the plan for so long."""
REDRAW_AFTER_S = 0.2
"""Points of curves are found by the dozen: they are drawn together."""
FIGURES = ("summary", "memory", "step")
TABLES = ("strategies", "layouts", "front")


class PlannerScreen(PlannerBoard):
    """Turns keys into changes of the session, and has others search and measure."""

    def __init__(
        self, keymap: Keymap, own_prices: Mapping[str, Price], texts: Mapping[str, str] | None
    ) -> None:
        """`own_prices` are the user's, by GPU key: they go before the packaged ones. `texts` are
        what stands in the form at first, where that is kept."""
        super().__init__(keymap, Session(own_prices=own_prices))
        known = {key: text for key, text in (texts or {}).items() if key in KEYS}
        if known:
            self.session.form = self.session.form.with_texts(known)
        self._search = SearchClient(self._take_finding, self._say)
        self._calibrator = Calibrator()
        self._sure = False
        self._search_soon: Timer | None = None
        self._redraw_soon: Timer | None = None

    def on_mount(self) -> None:
        self.session.look_up()
        if self.session.data.problem is not None:
            self._say(clean(self.session.data.problem))
        self.query_one(FormPanel).focus()

    async def on_unmount(self) -> None:
        self._calibrator.stop()
        await self._search.close()

    @property
    def is_typing(self) -> bool:
        return self.query_one(FormPanel).form.editing is not None

    def show(self, moment: Moment, timeline: Timeline) -> None:
        """The engine's state in the header; the panels change with the form alone."""
        first, self._moment = self._moment is None, moment
        served = moment.frame is not None and self.session.take_in(moment.frame.model)
        if first or served:
            self._take_form(self.session.form)
        else:
            self._draw_frame()

    def plan(self) -> PlanRecord | None:
        return plan_record(self.session)

    def view_state(self) -> dict[str, str]:
        return {**super().view_state(), "view": self._view}

    def restore_view(self, state: Mapping[str, str]) -> None:
        if state.get("view") in dict(VIEW_TITLES):
            self._view = state["view"]
        super().restore_view(state)

    # The form, its evaluation, and the search behind it

    def on_form_panel_changed(self, message: FormPanel.Changed) -> None:
        self._note, self._sure = EMPTY, False
        if message.selection:
            self.session.form = message.form
            self._draw_form()
            self._draw_frame()
        else:
            self._take_form(message.form)

    def _take_form(self, form: Form) -> None:
        if self.session.take(form):
            self.session.searched = None
            if self._search_soon is not None:
                self._search_soon.stop()
            self._search_soon = self.set_timer(SEARCH_AFTER_S, self._begin_search)
        self._draw()

    def _begin_search(self) -> None:
        request = self.session.request(compared=self._view == "compare")
        if request is not None:
            self.run_worker(self._search.ask(request), group="search", exclusive=True)
            self._draw_frame()

    def _take_finding(self, finding: Finding) -> None:
        """Points of curves come by the dozen: they are drawn a few times a second."""
        self.session.add(finding)
        if not isinstance(finding, PointFound):
            self._draw()
        elif self._redraw_soon is None:
            self._redraw_soon = self.set_timer(REDRAW_AFTER_S, self._redraw_curves)

    def _redraw_curves(self) -> None:
        self._redraw_soon = None
        self._draw_curves()
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
        if name == "compare" and self.session.comparison is None:
            self._begin_search()
        if name == "serving" and self.session.evaluation is not None:
            self.query_one("#matrix", RowsPanel).go_to(self.session.evaluation.plan.cluster.gpu.key)
        self.rearrange()

    def action_scenario(self, name: str) -> None:
        self._take_form(self.session.scenario(name))

    def action_growing(self) -> None:
        """Charts with the batch kept, or growing with the cluster."""
        self.session.growing = not self.session.growing
        self._take_form(self.session.form)

    def action_use(self) -> None:
        """Take over the layout of the chosen row, or the best one that was found."""
        session, panel = self.session, self.focused
        chosen = panel.target if isinstance(panel, RowsPanel) and panel.id in TABLES else None
        result = session.best() if chosen is None else session.layout_of(chosen)
        if result is None:
            self._say("no layout to take over yet")
        else:
            self._take_form(session.using(result))
            self._say(f"taken over: {result.layout.shorthand}")

    def action_calibrate(self) -> None:
        """Measure this machine's GPUs, once that has been asked for twice."""
        host = self._moment.host if self._moment is not None else None
        if self._calibrator.running:
            self._calibrator.stop()
        elif (reason := refusal(host)) is not None:
            self._say(reason)
        elif not self._sure:
            self._sure = True
            key = self._keymap.first_key("planner_calibrate")
            self._say(f"measuring takes a minute and slows serving down: {key} again to begin")
        else:
            self._sure = False
            self.run_worker(self._calibrate(), group="calibrate")

    async def _calibrate(self) -> None:
        if await self._calibrator.run(self._say):
            self.session.look_up()
            note = self._note
            self._take_form(self.session.form)
            self._note = note
            self._draw_frame()

    def action_save(self) -> None:
        """Save the export under the cursor; the line at the bottom says where."""
        evaluation = self.session.evaluation
        if self._view != "export" or evaluation is None:
            self._say("choose a configuration in the export view first")
            return
        engine = self.query_one("#engines", RowsPanel).target
        chosen = next((one for one in attempts(evaluation.plan) if one.engine == engine), None)
        if chosen is None or chosen.result is None:
            self._say(chosen.reason or "" if chosen is not None else "nothing to save")
            return
        try:
            folder = save_export(chosen.result, evaluation.plan, chosen.engine)
        except ProdtopError as error:
            self._say(str(error))
        else:
            self._say(f"saved: {folder / chosen.result.file_name} and launch.sh")

    def on_rows_panel_opened(self, message: RowsPanel.Opened) -> None:
        """A figure opens into its formula, a layout into its figures, a formula into its parts."""
        name, target = message.panel.id, message.target
        if name == "tree":
            self.session.toggle(target)
            self._draw_rows("tree", "detail")
        elif name in FIGURES:
            self._open_formulas(YOURS, target)
        elif name in TABLES:
            self._open_formulas(target, None)
        elif name == "matrix":
            self._open_formulas(f"serve:{target}", None)

    def _open_formulas(self, subject: str, figure: str | None) -> None:
        row = self.session.open_figure(subject, figure)
        tree = self.query_one("#tree", RowsPanel)
        self._view, self._page, self._maximized = "formulas", 0, None
        self.rearrange()
        tree.focus()
        tree.point_at(row)
