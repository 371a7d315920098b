"""The Production tab: whether serving meets its targets, what alerts, what guards do.

To add a panel:

1. Write it as a pure function of `Moment` and `Room` that returns a `RowsView`, in
   `tui/views/production/`; what it needs to know goes into a file of `tui/state/` and a field of
   `Moment`.
2. Enter it in `VIEWS` below, and give it a `Slot` in `production_placement.py`.
3. A view of its own gets a title in `VIEW_TITLES` of `tui/views/production/around.py`, and a key in
   `PRODUCTION_ACTIONS` of `tui/settings/keymap.py`: `("cost", "screen.view('cost')", …)`.
"""

import time
from collections.abc import Callable, Mapping

from textual.geometry import Region

from ..drawing.line import Line
from ..settings.keymap import PRODUCTION, Keymap
from ..state.bias_book import BiasBook
from ..state.capacity import capacity
from ..state.cost import Costing, costing
from ..state.moment import Moment
from ..state.monitor import Monitor
from ..state.readiness_book import ON_SCREEN
from ..views.events import event_line
from ..views.panel import Room, RowsView
from ..views.production.alerts import alerts_view
from ..views.production.around import footer_line, production_header, views_line
from ..views.production.capacity import capacity_view, curve_view
from ..views.production.cost import cells_view, cost_view, what_ifs_view
from ..views.production.guards import guards_view
from ..views.production.readiness import readiness_view
from ..views.production.targets import targets_view
from ..widgets.board import Board
from .measuring_tab import MeasuringTab
from .production_placement import pages, place_panels

PanelViews = Mapping[str, Callable[["ProductionScreen", Moment, Room], RowsView]]


class ProductionScreen(MeasuringTab):
    """Panels for the view that is chosen, drawn from the moment."""

    def __init__(self, keymap: Keymap, monitor: Monitor) -> None:
        super().__init__(keymap, monitor, id=PRODUCTION, panels=tuple(VIEWS), view="targets")
        self._bias = BiasBook()
        self._costed: tuple[Moment, Costing] | None = None

    @property
    def keymap(self) -> Keymap:
        """For panels that name a key."""
        return self._keymap

    def _place_panels(self, width: int, height: int) -> Mapping[str, Region]:
        return place_panels(self._view, width, height, page=self._page, maximized=self._maximized)

    def _pages(self, view: str) -> int:
        size = self.query_one(Board).size
        return pages(view, size.width, size.height)

    def _around(self, moment: Moment, room: Room) -> Mapping[str, Line]:
        return {
            "header": production_header(moment, room),
            "views": views_line(
                self._view, self._page, self._pages(self._view), self._keymap, room
            ),
            "event": event_line(moment, room),
            "footer": footer_line(self._keymap, room),
        }

    def _panel_view(self, name: str, moment: Moment, room: Room) -> RowsView:
        return VIEWS[name](self, moment, room)

    @property
    def measure_key(self) -> str:
        """The key that measures a load curve."""
        return self._keymap.first_key("production_begin")

    def costing(self, moment: Moment) -> Costing:
        """What the panels of cost show, worked out once for all of them."""
        if self._costed is None or self._costed[0] is not moment:
            found = costing(moment, self._keymap.first_key("compare_begin"))
            self._costed = (moment, found)
        return self._costed[1]

    def action_begin(self) -> None:
        """Measure what is served under loads around the present one."""
        self._monitor.begin_load_curve()
        self._show_newest()

    def action_cancel(self) -> None:
        self._monitor.cancel_load_curve()
        self._show_newest()

    def guards(self, moment: Moment, room: Room) -> RowsView:
        """What guards do, and the indicator of bias that is kept for the model served."""
        bias = None if moment.frame is None else self._bias.look(moment.frame.model.name)
        return guards_view(moment, room, bias, time.time())

    def readiness(self, moment: Moment, room: Room) -> RowsView:
        """The checklist, by the file of proofs and the configuration as they are now."""
        monitor, key = self._monitor, self._keymap.first_key("production_next")
        known = monitor.readiness.look(moment.frame, monitor.config)
        return readiness_view(known, moment, time.time(), room, dict.fromkeys(ON_SCREEN, key))

    async def action_prove(self) -> None:
        """Prove the next open item of the checklist."""
        action = self._monitor.prove_next()
        if action is not None:
            await self.app.run_action(f"app.{action}")
        self._show_newest()


VIEWS: PanelViews = {
    "targets": lambda _tab, moment, room: targets_view(moment, room),
    "alerts": lambda _tab, moment, room: alerts_view(moment, room),
    "guards": lambda tab, moment, room: tab.guards(moment, room),
    "cost": lambda tab, moment, room: cost_view(tab.costing(moment), moment, room),
    "cells": lambda tab, moment, room: cells_view(
        tab.costing(moment), moment, room, tab.keymap.first_key("compare_begin")
    ),
    "what_ifs": lambda tab, moment, room: what_ifs_view(tab.costing(moment), moment, room),
    "capacity": lambda tab, moment, room: capacity_view(
        capacity(moment), moment, room, tab.measure_key
    ),
    "curve": lambda tab, moment, room: curve_view(moment, room, tab.measure_key),
    "readiness": lambda tab, moment, room: tab.readiness(moment, room),
}
"""By panel, in the order in which the tab key goes through them."""
