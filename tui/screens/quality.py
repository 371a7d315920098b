"""The Quality tab: what each precision costs, as it is measured, and what follows from it."""

from collections.abc import Callable, Mapping

from textual.geometry import Region

from ...engine.protocol import PrecisionName
from ..drawing.line import Line
from ..settings.keymap import QUALITY, Keymap
from ..state.moment import Moment
from ..state.monitor import Monitor
from ..state.playhead import Timeline
from ..state.quality_advice import Keys
from ..state.quality_grid import Cursor, Grid
from ..views.events import event_line
from ..views.panel import Room, RowsView
from ..views.quality.around import (
    LEVELS,
    MATRICES,
    ROWS,
    VIEW_TITLES,
    footer_line,
    quality_header,
    views_line,
)
from ..views.quality.charts import bars_view, efficiency_view, tradeoff_view
from ..views.quality.layers import cell_view, heat_view
from ..views.quality.levels import advice_view, level_names, levels_view
from ..views.quality.schemes import schemes_view
from ..views.quality.texts import texts_view
from ..widgets.board import Board
from ..widgets.cells_panel import CellsPanel
from ..widgets.rows_panel import RowsPanel
from .measuring_tab import MeasuringTab
from .quality_placement import pages, place_panels

CHOOSING = ("levels", "schemes")
"""Panels whose cursor chooses the level that the others show."""

PanelViews = Mapping[str, Callable[["QualityScreen", Moment, Room], RowsView]]


class QualityScreen(MeasuringTab):
    """Panels for the view that is chosen, drawn from the moment. The level shown and the cursor of
    the heat strip are its own."""

    def __init__(self, keymap: Keymap, monitor: Monitor) -> None:
        super().__init__(
            keymap, monitor, id=QUALITY, panels=tuple(VIEWS), view="overview", cells="heat"
        )
        self.keys = Keys(keymap.first_key("quality_begin"), keymap.first_key("quality_serve"))
        self.chosen: str | None = None
        """The level shown: a precision, or a scheme such as `affine-8`."""
        self.cursor = Cursor()

    def _place_panels(self, width: int, height: int) -> Mapping[str, Region]:
        return place_panels(self._view, width, height, page=self._page, maximized=self._maximized)

    def _pages(self, view: str) -> int:
        size = self.query_one(Board).size
        return pages(view, size.width, size.height)

    # Drawing

    def show(self, moment: Moment, timeline: Timeline) -> None:
        self._moment = moment
        served = None if moment.frame is None else moment.frame.precision
        if self.chosen is None and served is not None:
            self._choose(served)
        else:
            self._draw()

    def _around(self, moment: Moment, room: Room) -> Mapping[str, Line]:
        running = moment.quality.running
        return {
            "header": quality_header(moment, room),
            "views": views_line(self._view, self._level(moment), self._keymap, room),
            "event": event_line(moment, room),
            "footer": footer_line(self._keymap, room, running=running, moves=self._moves()),
        }

    def _panel_view(self, name: str, moment: Moment, room: Room) -> RowsView:
        return VIEWS[name](self, moment, room)

    def _moves(self) -> str:
        """What the arrows go through in the panel with the focus."""
        if isinstance(self.focused, CellsPanel):
            return MATRICES
        return LEVELS if self.focused is not None and self.focused.id in CHOOSING else ROWS

    def view_state(self) -> dict[str, str]:
        own = {"view": self._view, "page": str(self._page)}
        return {**super().view_state(), **own, **({"chosen": self.chosen} if self.chosen else {})}

    def restore_view(self, state: Mapping[str, str]) -> None:
        if state.get("view") in dict(VIEW_TITLES):
            self._view = state["view"]
        page = state.get("page", "")
        if page.isdecimal() and len(page) <= 2:
            self._page = int(page) % self._pages(self._view)
        if state.get("chosen"):
            self._choose(state["chosen"])
        super().restore_view(state)

    # The level shown

    def _level(self, moment: Moment) -> str:
        """The one that was chosen; at first what is served, or what there is."""
        if self.chosen is not None:
            return self.chosen
        served = None if moment.frame is None else moment.frame.precision
        return PrecisionName.BF16 if served is None else served

    def _names(self, moment: Moment) -> list[str]:
        """What can be shown, in order: levels, and in the view of layers every scheme."""
        names: list[str] = list(level_names(moment))
        if self._view == "layers":
            reports = [report.totals.scheme for report in moment.quality.errors]
            names = reports or names
        return names

    def _choose(self, name: str) -> None:
        if name == self.chosen:
            return
        self.chosen = name
        for panel in CHOOSING:
            self.query_one(f"#{panel}", RowsPanel).go_to(name)
        self._draw()

    def on_rows_panel_moved(self, message: RowsPanel.Moved) -> None:
        if message.panel.id in CHOOSING and message.target is not None:
            self._choose(message.target)

    def on_rows_panel_opened(self, message: RowsPanel.Opened) -> None:
        """Enter on a level shows its layers."""
        self._choose(message.target)
        self.action_view("layers")

    def on_cells_panel_stepped(self, message: CellsPanel.Stepped) -> None:
        grid = self._grid()
        if grid is not None:
            self.cursor = self.cursor.moved(message.columns, message.rows, grid)
            self._draw()

    def _grid(self) -> Grid | None:
        moment = self._moment
        return None if moment is None else Grid.of(moment.quality.report(self._level(moment)))

    # Keys

    def action_begin(self) -> None:
        """Measure, or cancel what is being measured."""
        self._monitor.toggle_quality()
        self._show_newest()

    def action_cancel(self) -> None:
        self._monitor.cancel_quality()
        self._show_newest()

    def action_serve(self) -> None:
        """Serve at the level shown: the way to its speed."""
        moment = self._moment
        name = None if moment is None else self._level(moment)
        if name in set(PrecisionName):
            self._monitor.choose_precision(PrecisionName(name))
        else:
            self._monitor.say(f"{name} is no precision to serve at")
        self._show_newest()

    def action_level(self, step: int) -> None:
        """The level before or after the one shown."""
        moment = self._moment
        names = [] if moment is None else self._names(moment)
        if moment is None or not names:
            return
        level = self._level(moment)
        at = names.index(level) + step if level in names else 0
        self._choose(names[min(max(0, at), len(names) - 1)])

    def action_choose(self, name: str) -> None:
        self._choose(name)

    def action_cell(self, layer: int, matrix: str) -> None:
        """Put the cursor of the heat strip where it was clicked."""
        grid = self._grid()
        if grid is not None and matrix in grid.names:
            self.cursor = Cursor(layer, grid.names.index(matrix))
            self._draw()


VIEWS: PanelViews = {
    "levels": lambda tab, moment, room: levels_view(moment, room, tab._level(moment), tab.keys),
    "advice": lambda tab, moment, room: advice_view(moment, room, tab.keys),
    "tradeoff": lambda tab, moment, room: tradeoff_view(moment, room, tab.keys),
    "bars": lambda _tab, moment, room: bars_view(moment, room),
    "efficiency": lambda tab, moment, room: efficiency_view(moment, room, tab.keys),
    "schemes": lambda tab, moment, room: schemes_view(moment.quality, room, tab._level(moment)),
    "heat": lambda tab, moment, room: heat_view(
        moment.quality, tab._level(moment), tab.cursor, room
    ),
    "cell": lambda tab, moment, room: cell_view(
        moment.quality, tab._level(moment), tab.cursor, room
    ),
    "texts": lambda tab, moment, room: texts_view(moment, room, tab._level(moment), tab.keys),
}
"""By panel, in the order in which the tab key goes through them."""
