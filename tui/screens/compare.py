"""The Compare tab: strategies by precisions, as they are measured, and what follows from it."""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from textual.geometry import Region

from ...engine.compare.samples import NO_LIMITS, Limits
from ...engine.protocol import Frame, PrecisionName, StrategyName
from ..drawing.line import Line
from ..settings.keymap import COMPARE, Keymap
from ..state.compare import Place, limits_of
from ..state.compare_table import SHOWN, Spot, Table, spot_of, stepped, table
from ..state.moment import Moment
from ..state.monitor import Monitor
from ..views.compare.around import compare_header, footer_line, views_line
from ..views.compare.cell import cell_view
from ..views.compare.findings import bars_view, findings_view
from ..views.compare.matrix import matrix_view
from ..views.events import event_line
from ..views.panel import Room, RowsView
from ..widgets.cells_panel import CellsPanel
from .compare_placement import place_panels
from .measuring_tab import MeasuringTab

PanelViews = Mapping[str, Callable[["CompareScreen", Moment, Room], RowsView]]
Made = TypeVar("Made")


class Kept(Generic[Made]):
    """What was made last, made anew only when what it depends on is another: medians of all
    metrics are too much for every tick."""

    def __init__(self) -> None:
        self._known: tuple[object, Made] | None = None

    def get(self, depends: tuple[object, ...], make: Callable[[], Made]) -> Made:
        """What `make` gives, or gave for the same `depends`."""
        if self._known is None or self._known[0] != depends:
            self._known = (depends, make())
        return self._known[1]


class CompareScreen(MeasuringTab):
    """Panels for the view that is chosen, drawn from the moment. The metric, the cursor and the
    baseline are its own."""

    def __init__(self, keymap: Keymap, monitor: Monitor) -> None:
        super().__init__(
            keymap, monitor, id=COMPARE, panels=tuple(VIEWS), view="matrix", cells="matrix"
        )
        self.begin_key = keymap.first_key("compare_begin")
        self.metric = SHOWN[0]
        self.cursor = (0, 0)
        """Row and column of the matrix."""
        self._started = False
        self.baseline: Place | None = None
        self._table: Kept[Table] = Kept()
        self.kept: Mapping[str, Kept[RowsView]] = {name: Kept() for name in VIEWS}
        """The views that cost more than a tick should, by panel."""

    def _place_panels(self, width: int, height: int) -> Mapping[str, Region]:
        return place_panels(self._view, width, height, maximized=self._maximized)

    # Drawing

    def _start_at(self, moment: Moment, frame: Frame) -> None:
        """The cursor begins on what is served."""
        self._started = True
        shown = self.table(moment, self.metric)
        if frame.precision in shown.columns:
            row, column = shown.rows.index(frame.strategy), shown.columns.index(frame.precision)
            self.cursor = (row, column)

    def _draw_moment(self, moment: Moment) -> None:
        if not self._started and moment.frame is not None:
            self._start_at(moment, moment.frame)
        super()._draw_moment(moment)

    def _around(self, moment: Moment, room: Room) -> Mapping[str, Line]:
        over_cells = isinstance(self.focused, CellsPanel)
        running = moment.compare.running
        return {
            "header": compare_header(moment, room),
            "views": views_line(self._view, self.metric, self._keymap, room),
            "event": event_line(moment, room),
            "footer": footer_line(self._keymap, room, running=running, cells=over_cells),
        }

    def _panel_view(self, name: str, moment: Moment, room: Room) -> RowsView:
        return VIEWS[name](self, moment, room)

    def table(self, moment: Moment, name: str) -> Table:
        """The matrix by a metric."""
        limits = self.limits(moment)
        return self._table.get(
            (*shown_of(moment), limits, name, self.baseline),
            lambda: table(moment.compare, moment.frame, name, limits, self.baseline),
        )

    @staticmethod
    def limits(moment: Moment) -> Limits:
        return NO_LIMITS if moment.frame is None else limits_of(moment.frame.slo)

    def view_state(self) -> dict[str, str]:
        row, column = self.cursor
        own = {"view": self._view, "metric": self.metric, "cursor": f"{row} {column}"}
        if self.baseline is not None:
            own["baseline"] = " ".join(self.baseline)
        return {**super().view_state(), **own}

    def restore_view(self, state: Mapping[str, str]) -> None:
        if state.get("view") in VIEWS:
            self._view = state["view"]
        if state.get("metric") in SHOWN:
            self.metric = state["metric"]
        row, _, column = state.get("cursor", "").partition(" ")
        if all(each.isdecimal() and len(each) <= 2 for each in (row, column)):
            self.cursor, self._started = (int(row), int(column)), True
        strategy, _, precision = state.get("baseline", "").partition(" ")
        if strategy in set(StrategyName) and precision in set(PrecisionName):
            self.baseline = StrategyName(strategy), PrecisionName(precision)
        super().restore_view(state)

    # The cursor

    def on_cells_panel_stepped(self, message: CellsPanel.Stepped) -> None:
        self._go(self.cursor[0] + message.rows, self.cursor[1] + message.columns)

    def action_cell(self, row: int, column: int) -> None:
        """Put the cursor on the cell that was clicked."""
        self._go(row, column)

    def _go(self, row: int, column: int) -> None:
        if self._moment is None:
            return
        shown = self.table(self._moment, self.metric)
        rows, columns = len(shown.rows), len(shown.columns)
        if columns:
            self.cursor = (min(max(0, row), rows - 1), min(max(0, column), columns - 1))
            self._draw()

    # Keys

    def action_begin(self) -> None:
        self._monitor.begin_compare()
        self._show_newest()

    def action_cancel(self) -> None:
        self._monitor.cancel_compare()
        self._show_newest()

    def action_metric(self, step: int) -> None:
        """Another metric."""
        self.metric = stepped(self.metric, step)
        self._draw()

    def action_baseline(self) -> None:
        """Compare with the cell under the cursor; with the same again, with none."""
        if self._moment is None:
            return
        spot = self.table(self._moment, self.metric).at(*self.cursor)
        if spot is None or (spot.median is None and spot.place != self.baseline):
            self._monitor.say("a baseline is a cell that was measured")
        else:
            self.baseline = None if spot.place == self.baseline else spot.place
        self._show_newest()


def shown_of(moment: Moment) -> tuple[object, ...]:
    """What a table takes from a moment: the others of its fields change with every frame."""
    frame = moment.frame
    precisions = None if frame is None else tuple(frame.precisions)
    return moment.compare.comparison, moment.compare.live, precisions


def _matrix(tab: CompareScreen, moment: Moment, room: Room) -> RowsView:
    shown = tab.table(moment, tab.metric)
    return matrix_view(moment.compare, shown, tab.cursor, room, tab.begin_key)


def _cell(tab: CompareScreen, moment: Moment, room: Room) -> RowsView:
    compare, limits = moment.compare, tab.limits(moment)
    spot = tab.table(moment, tab.metric).at(*tab.cursor)

    def by(name: str) -> Spot:
        assert spot is not None, "there are no metrics of no cell"
        return spot_of(compare, spot.place, name, limits, tab.baseline)

    return tab.kept["cell"].get(
        (*shown_of(moment), limits, spot, tab.baseline, room),
        lambda: cell_view(compare, spot, by, room, tab.begin_key),
    )


def _bars(tab: CompareScreen, moment: Moment, room: Room) -> RowsView:
    comparison = moment.compare.comparison
    return tab.kept["bars"].get((comparison, room), lambda: bars_view(comparison, room))


def _findings(tab: CompareScreen, moment: Moment, room: Room) -> RowsView:
    comparison, limits = moment.compare.comparison, tab.limits(moment)
    return tab.kept["findings"].get(
        (comparison, limits, room), lambda: findings_view(comparison, limits, room)
    )


VIEWS: PanelViews = {"matrix": _matrix, "cell": _cell, "findings": _findings, "bars": _bars}
"""By panel, in the order in which the tab key goes through them."""
