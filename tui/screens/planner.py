"""The Planner tab: a form on the left, what comes of it on the right, at every key."""

from collections.abc import Mapping

from textual import events
from textual.app import ComposeResult
from textual.geometry import Region

from ...engine.planner.model import ModelShape
from ..keymap import Keymap
from ..moment import Moment
from ..planner.answer import Answer, answer
from ..planner.fields import SERVED
from ..planner.form import Form
from ..planner.opened import every_figure, path_to
from ..planner.reading import Reading, read
from ..planner.scenarios import SCENARIOS
from ..planner.served import served_shape
from ..planner.tree import Path, ancestors, branches
from ..theme import look_of
from ..views.line import EMPTY, centred, strong
from ..views.panel import Room
from ..views.planner.bars import memory_view, step_view
from ..views.planner.curves import CURVES, PLACES, curve_view
from ..views.planner.decision import decision_view, guide_view
from ..views.planner.formulas import detail_view, tree_view
from ..views.planner.frame import footer_lines, hint_line, planner_header, views_line
from ..views.planner.summary import summary_view
from ..views.planner.words import derived_words
from ..widgets.board import Board
from ..widgets.curve_panel import CurvePanel
from ..widgets.figures_panel import Timeline
from ..widgets.form_panel import FormPanel
from ..widgets.lines import LinesView
from ..widgets.rows_panel import RowsPanel
from .plan import MIN_HEIGHT, MIN_WIDTH, fits
from .planner_plan import pages, regions
from .tab import TabScreen

ROW_PANELS = ("summary", "memory", "step", "decision", "guide", "tree", "detail")


class PlannerScreen(TabScreen):
    """Holds the form and its answer, and draws the panels of the view that is chosen."""

    def __init__(self, keymap: Keymap) -> None:
        super().__init__(keymap, id="planner")
        self._keymap = keymap
        self._form = Form.initial()
        self._reading = Reading(None, {})
        self._answer: Answer | None = None
        self._served: ModelShape | None = None
        self._moment: Moment | None = None
        self._view = "overview"
        self._page = 0
        self._maximized: str | None = None
        self._opened: frozenset[Path] = frozenset()

    def compose(self) -> ComposeResult:
        yield LinesView((EMPTY,), id="header")
        yield LinesView((EMPTY,), id="views")
        yield Board(
            FormPanel(self._form, id="form"),
            *(RowsPanel(id=name) for name in ROW_PANELS),
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
        first = self._moment is None
        self._moment = moment
        self._take_in(moment)
        if first:
            self._ask()
        else:
            self._draw_frame()

    def toggle_maximized(self) -> bool:
        if self._maximized is not None:
            self._maximized = None
        elif self.focused is not None and self.focused.id is not None:
            self._maximized = self.focused.id
        else:
            return False
        self.query_one(Board).replan()
        self.call_after_refresh(self._draw)
        return True

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        self.set_class(not fits(width, height), "-too-small")
        text = f"{width}x{height} is too small: prodtop needs {MIN_WIDTH}x{MIN_HEIGHT}"
        blank = [EMPTY] * (height // 2)
        self.query_one("#too-small", LinesView).set_lines([*blank, centred(strong(text), width)])
        self.call_after_refresh(self._draw)

    def on_mount(self) -> None:
        self.query_one(FormPanel).focus()

    # Questions and answers

    def _take_in(self, moment: Moment) -> None:
        """The model that is being served may be the one that is planned for."""
        info = moment.frame.model if moment.frame is not None else None
        if info is None or (self._served is not None and self._served.name == info.name):
            return
        self._served = served_shape(info)
        if self._form.current["model"].strip().lower() == SERVED:
            self._ask()

    def _ask(self) -> None:
        """Read the form and draw what comes of it; what it held before stays where it is wrong."""
        reading = read(self._form.current, self._served, self._form.touched)
        self._reading = reading
        if reading.plan is not None:
            self._answer = answer(reading.plan)
        self._draw()

    def on_form_panel_changed(self, message: FormPanel.Changed) -> None:
        self._form = message.form
        if message.selection:
            self._draw_form()
            self._draw_frame()
        else:
            self._ask()

    # Keys

    def action_view(self, name: str) -> None:
        """Bring a view into sight; asked for again, its next page."""
        board = self.query_one(Board)
        if name == self._view:
            self._page = (self._page + 1) % pages(*board.size)
        else:
            self._view, self._page = name, 0
        self._maximized = None
        board.replan()
        if self.focused is not None and not self.focused.display:
            self.query_one(FormPanel).focus()
        self.call_after_refresh(self._draw)

    def action_scenario(self, name: str) -> None:
        self._form = self._form.with_texts(SCENARIOS[name])
        self._ask()

    def on_rows_panel_opened(self, message: RowsPanel.Opened) -> None:
        """A figure opens into its formula, a formula into its parts."""
        if message.panel.id == "tree":
            path = tuple(map(int, message.target.split(".")))
            self._opened = self._opened ^ {path}
            self._draw_formulas()
        elif message.panel.id in ("summary", "memory", "step") and self._answer is not None:
            trees = every_figure(self._answer)
            path = path_to(trees, message.target)
            self._opened = ancestors(path) | {path}
            self.action_view("formulas")
            rows = branches(trees, self._opened)
            tree = self.query_one("#tree", RowsPanel)
            tree.focus()
            self._draw_formulas()
            tree.point_at(next(i for i, row in enumerate(rows) if row.path == path))
            self._draw_formulas()

    def on_rows_panel_moved(self, message: RowsPanel.Moved) -> None:
        if message.panel.id == "tree":
            self._draw_formulas()

    def on_descendant_focus(self) -> None:
        self._draw_frame()

    # Drawing

    def _draw(self) -> None:
        if self.has_class("-too-small") or not self.is_mounted:
            return
        self._draw_frame()
        self._draw_form()
        shown = self._answer
        if shown is None:
            return
        note = "as it was before" if self._reading.errors else ""
        for name, view in (
            ("summary", summary_view),
            ("memory", memory_view),
            ("step", step_view),
            ("decision", decision_view),
        ):
            panel = self.query_one(f"#{name}", RowsPanel)
            if panel.display:
                panel.show(view(shown, self._room(panel), note))
        guide = self.query_one("#guide", RowsPanel)
        if guide.display:
            guide.show(guide_view(self._room(guide)))
        for chart in self.query(CurvePanel):
            if chart.display and chart.id is not None:
                chart.show(curve_view(chart.id, shown))
        self._draw_formulas()

    def _draw_formulas(self) -> None:
        tree, detail = self.query_one("#tree", RowsPanel), self.query_one("#detail", RowsPanel)
        if self._answer is None or not tree.display:
            return
        rows = branches(every_figure(self._answer), self._opened)
        tree.show(tree_view(rows, self._room(tree)))
        chosen = next((row for row in rows if ".".join(map(str, row.path)) == tree.target), rows[0])
        detail.show(detail_view(chosen.term, self._room(detail)))

    def _draw_form(self) -> None:
        plan = self._reading.plan
        panel = self.query_one(FormPanel)
        words = derived_words(plan, look_of(self.app).glyphs) if plan is not None else {}
        panel.show(self._form, self._reading.errors, words)

    def _draw_frame(self) -> None:
        if self._moment is None or self.has_class("-too-small"):
            return
        room = Room(self.size.width, 1, look_of(self.app).glyphs)
        typing = self._form.editing is not None
        in_form = isinstance(self.focused, FormPanel)
        for name, shown in (
            ("header", planner_header(self._moment, self._answer, room)),
            ("views", views_line(self._view, self._keymap, room)),
            ("event", hint_line(self._form, len(self._reading.errors), "", EMPTY, room)),
            ("footer", footer_lines(self._keymap, room, typing=typing, form=in_form)),
        ):
            self.query_one(f"#{name}", LinesView).set_lines((shown,))

    def _room(self, panel: RowsPanel) -> Room:
        width, height = panel.size
        return Room(width, height, look_of(self.app).glyphs)
