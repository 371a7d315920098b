"""What the tabs that measure share: lines around a board of panels of rows."""

from collections.abc import Mapping, Sequence

from textual.app import ComposeResult
from textual.geometry import Region

from ..drawing.line import EMPTY, Line
from ..settings.keymap import Keymap
from ..state.moment import Moment
from ..state.monitor import Monitor
from ..state.playhead import Timeline
from ..style.theme import palette_of
from ..views.panel import Room, RowsView
from ..widgets.board import Board
from ..widgets.cells_panel import CellsPanel
from ..widgets.lines import LinesView
from ..widgets.rows_panel import RowsPanel
from .tab import TabScreen


class MeasuringTab(TabScreen):
    """A header, the views, a board, an event and the keys; what is shown is drawn from the moment.

    A subclass says what its panels are, where they lie, and draws them.
    """

    def __init__(
        self,
        keymap: Keymap,
        monitor: Monitor,
        *,
        id: str,  # noqa: A002 (Textual's name for it)
        panels: Sequence[str],
        view: str = "",
        cells: str | None = None,
    ) -> None:
        """`panels` are in the order in which the tab key goes through them, and the first has the
        focus at first; the cursor of the panel `cells`, if there is one, goes over cells. `view` is
        the one in sight at first, where there are several."""
        super().__init__(keymap, id=id)
        self._view = view
        self._page = 0
        self._monitor = monitor
        self._moment: Moment | None = None
        self._panels = panels
        self._cells = cells

    def compose(self) -> ComposeResult:
        yield LinesView((EMPTY,), id="header")
        yield LinesView((EMPTY,), id="views")
        yield Board(
            *(
                CellsPanel(id=name) if name == self._cells else RowsPanel(id=name)
                for name in self._panels
            ),
            place=self._place_panels,
        )
        yield LinesView((EMPTY,), id="event")
        yield LinesView((EMPTY,), id="footer")
        yield LinesView(id="too-small")

    def on_mount(self) -> None:
        self.query_one(f"#{self._panels[0]}", RowsPanel).focus()

    def _place_panels(self, width: int, height: int) -> Mapping[str, Region]:
        raise NotImplementedError

    def _pages(self, view: str) -> int:
        """How many pages a view takes on the board as it is."""
        return 1

    def show(self, moment: Moment, timeline: Timeline) -> None:
        self._moment = moment
        self._draw()

    def _around(self, moment: Moment, room: Room) -> Mapping[str, Line]:
        """The lines around the board, by the name of their place."""
        raise NotImplementedError

    def _panel_view(self, name: str, moment: Moment, room: Room) -> RowsView:
        raise NotImplementedError

    def _draw(self) -> None:
        if self._moment is not None and not self.is_too_small and self.can_draw:
            self._draw_moment(self._moment)

    def _draw_moment(self, moment: Moment) -> None:
        glyphs = palette_of(self.app).glyphs
        for name, shown in self._around(moment, Room(self.size.width, 1, glyphs)).items():
            self.query_one(f"#{name}", LinesView).set_lines((shown,))
        for panel in self.query(RowsPanel):
            if panel.display and panel.size.width and panel.id is not None:
                room = Room(panel.size.width, panel.size.height, glyphs)
                panel.show(self._panel_view(panel.id, moment, room))

    def redraw(self) -> None:
        self.call_after_refresh(self._draw)

    def rearrange(self) -> None:
        super().rearrange()
        if self.focused is None or not self.focused.display:
            first = next((panel for panel in self.query(RowsPanel) if panel.display), None)
            self.set_focus(first)
        self.call_after_refresh(self._draw)

    def on_rows_panel_resized(self, _message: RowsPanel.Resized) -> None:
        self._draw()

    def on_descendant_focus(self) -> None:
        self._draw()

    def action_view(self, name: str) -> None:
        """Bring a view into sight; asked for again, its next page."""
        if name == self._view:
            self._page = (self._page + 1) % self._pages(name)
        else:
            self._view, self._page = name, 0
        self._maximized = None
        self.rearrange()

    def _show_newest(self) -> None:
        """What a key has led to is seen at once."""
        self._moment = self._monitor.moment()
        self._draw()
