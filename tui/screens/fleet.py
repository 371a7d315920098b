"""The Fleet tab: every server that is watched, a row each; enter looks at one of them live."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from textual.geometry import Region

from ...engine.text.cleaning import clean
from ..drawing.line import Line
from ..settings.keymap import FLEET, LIVE, Keymap
from ..state.fleet import Fleet, FleetOrder, Group, Order
from ..state.moment import Moment
from ..state.monitor import Monitor
from ..views.events import event_line
from ..views.fleet.around import fleet_header, footer_line, state_line
from ..views.fleet.table import fleet_view
from ..views.panel import Room, RowsView
from ..widgets.rows_panel import RowsPanel
from .measuring_tab import MeasuringTab
from .prompt import PromptScreen

TABLE = "replicas"


class _Shown(NamedTuple):
    """What the table is made of."""

    fleet: Fleet
    order: FleetOrder
    room: Room

    def is_same(self, other: "_Shown") -> bool:
        """Whether the table would be the same: a sample is compared as one, not row by row."""
        return self.fleet is other.fleet and self[1:] == other[1:]


class FleetScreen(MeasuringTab):
    """One table. Its order, groups and filter are those of the screen alone."""

    def __init__(self, keymap: Keymap, monitor: Monitor) -> None:
        super().__init__(keymap, monitor, id=FLEET, panels=(TABLE,))
        self._order = FleetOrder()
        self._drawn: tuple[_Shown, RowsView] | None = None

    def _place_panels(self, width: int, height: int) -> Mapping[str, Region]:
        return {TABLE: Region(0, 0, width, height)}

    def _around(self, moment: Moment, room: Room) -> Mapping[str, Line]:
        row = _fleet(moment).row(self.query_one(f"#{TABLE}", RowsPanel).target)
        return {
            "header": fleet_header(moment, room),
            "views": state_line(self._order, row, room),
            "event": event_line(moment, room),
            "footer": footer_line(self._keymap, room),
        }

    def _draw_moment(self, moment: Moment) -> None:
        """Where another row is chosen by now, as the first one of all, the lines around the table
        are of the one before: they are drawn first."""
        panel = self.query_one(f"#{TABLE}", RowsPanel)
        before = panel.target
        super()._draw_moment(moment)
        if panel.target != before:
            super()._draw_moment(moment)

    def _panel_view(self, name: str, moment: Moment, room: Room) -> RowsView:
        """The table, made anew where something of it is another: samples come more rarely than
        the screen draws."""
        shown = _Shown(_fleet(moment), self._order, room)
        if self._drawn is None or not self._drawn[0].is_same(shown):
            self._drawn = (shown, fleet_view(*shown))
        return self._drawn[1]

    def on_rows_panel_moved(self, _message: RowsPanel.Moved) -> None:
        self._draw()

    # Keys

    def on_rows_panel_opened(self, message: RowsPanel.Opened) -> None:
        """Look at this server in the other tabs."""
        self._monitor.watch_replica(message.target)
        self.app.switch_mode(LIVE)

    def action_order(self, name: str = "") -> None:
        """Sort by the next column, or by the one that was clicked; clicked again, turn."""
        orders = list(Order)
        if name:
            chosen = Order[name]
            turned = chosen is self._order.order and not self._order.descending
            self._order = replace(self._order, order=chosen, descending=turned)
        else:
            following = orders[(orders.index(self._order.order) + 1) % len(orders)]
            self._order = replace(self._order, order=following, descending=False)
        self._draw()

    def action_turn(self) -> None:
        """Turn the order round."""
        self._order = replace(self._order, descending=not self._order.descending)
        self._draw()

    def action_group(self) -> None:
        """Put rows together by model, node or version, or by nothing."""
        groups = list(Group)
        following = groups[(groups.index(self._order.group) + 1) % len(groups)]
        self._order = replace(self._order, group=following)
        self._draw()

    def action_filter(self) -> None:
        """Show only rows with some words."""

        def take(text: str | None) -> None:
            if text is not None:
                self._order = replace(self._order, wanted=clean(text).strip())
                self._draw()

        self.app.push_screen(PromptScreen("words that a row must have", self._order.wanted), take)

    def action_back(self) -> None:
        """Show all rows again; where they are, go back to the live screen."""
        if self._order.wanted:
            self._order = replace(self._order, wanted="")
            self._draw()
        else:
            self.app.switch_mode(LIVE)


_NO_FLEET = Fleet()


def _fleet(moment: Moment) -> Fleet:
    return moment.fleet or _NO_FLEET
