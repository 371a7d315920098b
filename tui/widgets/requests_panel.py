"""The table of requests as a panel, and the timeline of the one that is opened."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingsMap
from textual.message import Message

from ..drawing.line import Line, line, muted
from ..state.moment import Moment
from ..state.playhead import Timeline
from ..state.request_table import Order, Shown, TableState
from ..state.requests import RequestRow
from ..style.theme import palette_of
from ..views.panel import Room
from ..views.request_timeline import interval_head, timeline_view
from ..views.requests import (
    column_at,
    empty_lines,
    figures,
    footnote,
    head_line,
    row_lines,
    title,
)
from .live_panels import LivePanel

LEAST_REST_S, MOST_REST_S = 1.0, 5.0
"""Rows stay as they are for so long, so that they can be read, and the longer the more they change:
the terminal's line has room for other things as well."""
CELLS_PER_S = 1900
"""Cells of rows that may change: some 5 bytes each, half of what the whole screen may send."""

WHEEL_ROWS = 3


class RequestsPanel(LivePanel):
    """A row for each request; one can be chosen, and opened into its timeline."""

    class Inspected(Message):
        """A request was opened, or with `None` closed."""

        def __init__(self, panel: "RequestsPanel", key: str | None) -> None:
            super().__init__()
            self.panel = panel
            self.key = key

    def __init__(self, bindings: Sequence[Binding], *, id: str | None = None) -> None:  # noqa: A002 (Textual's name for it)
        """`bindings` are its keys, as the user mapped them."""
        super().__init__(id=id)
        self._bindings = BindingsMap.merge([self._bindings, BindingsMap(bindings)])
        self._close_key = next((each.key for each in bindings if each.id == "requests_close"), "")
        self._table = TableState()
        self._rows: Sequence[RequestRow] = ()
        self._following = True
        """The chosen row stays in sight: until the wheel turns."""
        self._top = 0
        self._opened: str | None = None
        self._rest_until_s = float("-inf")
        self._resting: Sequence[Line] = ()

    @property
    def opened(self) -> bool:
        """Whether a timeline is shown."""
        return self._opened is not None

    def view_state(self) -> dict[str, str]:
        """How the table is looked at."""
        table = self._table
        state = {"order": str(table.order), "shown": str(table.shown), "top": str(self._top)}
        chosen = {} if table.chosen is None else {"chosen": table.chosen}
        opened = {} if self._opened is None else {"opened": self._opened}
        return {**state, "descending": str(table.descending), **chosen, **opened}

    def restore_view(self, state: Mapping[str, str]) -> None:
        """Look at the table so; what does not fit is passed over."""
        if state.get("order") in set(Order):
            self._table = replace(self._table, order=Order(state["order"]))
        if state.get("shown") in set(Shown):
            self._table = replace(self._table, shown=Shown(state["shown"]))
        self._table = replace(
            self._table,
            descending=state.get("descending") != "False",
            chosen=state.get("chosen"),
        )
        self._opened, self._rest_until_s = state.get("opened"), float("-inf")
        top = state.get("top", "")
        self._top = int(top) if top.isdecimal() and len(top) <= 4 else 0

    # What keys and mouse do. `SkipAction` hands a key on to who else has a use for it.

    def move(self, steps: int) -> None:
        """Choose the row that many rows on; of an opened request, scroll its intervals."""
        if self.opened:
            self._scroll(steps)
            return
        self._table, self._following = self._table.moved(self._rows, steps), True
        self._redraw()

    def open_chosen(self) -> None:
        if self.opened or self._table.place(self._rows) is None:
            raise SkipAction
        self._opened, self._top = self._table.chosen, 0
        self.post_message(self.Inspected(self, self._opened))

    def close(self) -> None:
        """Close the timeline, or give up the choice."""
        if self.opened:
            self._opened, self._top = None, 0
            self.post_message(self.Inspected(self, None))
        elif self._table.chosen is not None:
            self._table = self._table.unchosen()
            self._top = 0
        else:
            raise SkipAction
        self._redraw()

    def next_order(self) -> None:
        self._arrange(self._table.next_order())

    def turn_order(self) -> None:
        self._arrange(self._table.sorted_by(self._table.order))

    def next_shown(self) -> None:
        self._arrange(self._table.next_shown())

    def on_click(self, event: events.Click) -> None:
        """A heading sorts, a row is chosen, and the chosen one opens."""
        # The event may be relative to a child: where it lies on the screen is the same for all.
        area = self.content_region
        if self.opened or not area.contains(*event.screen_offset):
            return
        offset = event.screen_offset - area.offset
        if offset.y == 0:
            order = column_at(offset.x, self.size.width)
            if order is not None:
                self._arrange(self._table.sorted_by(order))
            return
        place = self._top + offset.y - 1
        if place >= len(self._rows):
            return
        if self._rows[place].key == self._table.chosen:
            self.open_chosen()
        else:
            self._table, self._following = self._table.choosing(self._rows[place].key), True
            self._redraw()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self._scroll(WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self._scroll(-WHEEL_ROWS)

    def _arrange(self, table: TableState) -> None:
        self._table, self._top = table, 0
        self._rest_until_s = float("-inf")
        self._redraw()

    def _scroll(self, rows: int) -> None:
        """Rows further down, wherever the chosen one is."""
        self._top, self._following = max(0, self._top + rows), False
        self._redraw()

    # Drawing

    def _redraw(self) -> None:
        if self._shown is not None:
            self._draw(self._shown[0])

    def on_resize(self) -> None:
        self._rest_until_s = float("-inf")
        super().on_resize()

    def show(self, moment: Moment, timeline: Timeline) -> None:
        before = self._shown
        self._shown = (moment, timeline)
        if not self.display or min(self.size) <= 0:
            return
        # A cursor in the past, or a return from there, is followed at once.
        if before is not None and before[0].behind_s != moment.behind_s:
            self._rest_until_s = float("-inf")
        self._draw(moment)

    def _draw(self, moment: Moment) -> None:
        width, height = self.size
        if width <= 0 or height <= 0:
            return
        room = Room(width, height, palette_of(self.app).glyphs)
        if self.opened:
            self._draw_opened(moment, room)
        else:
            self._draw_table(moment, room)

    def _draw_table(self, moment: Moment, room: Room) -> None:
        table = self._table
        due = moment.now_s >= self._rest_until_s
        if due:
            self._rows = table.arranged(moment.requests.rows)
        height = room.height - 1
        chosen = table.place(self._rows) if self._following else None
        self._top = _scrolled(self._top, chosen, len(self._rows), height)
        visible = self._rows[self._top : self._top + height]
        longest_ms = max((row.e2e_ms for row in visible), default=0.0)
        rows = row_lines(visible, table.chosen, room, longest_ms=longest_ms)
        self.set_title(title(moment, table))
        self.set_headline(figures(moment, room.width))
        self.set_footnote(footnote(len(visible), len(self._rows), moment.requests.left_out))
        lines = [head_line(table, room), *(rows or empty_lines(moment, table, room))]
        self._show_lines(lines, room.height)
        if due:
            self._rest(lines, room, moment.now_s)

    def _rest(self, lines: Sequence[Line], room: Room, now_s: float) -> None:
        """Until when these lines stay, by how much of them is new."""
        changed = sum(old != new for old, new in zip_longest(self._resting, lines))
        rest_s = min(max(LEAST_REST_S, changed * room.width / CELLS_PER_S), MOST_REST_S)
        self._resting, self._rest_until_s = lines, now_s + rest_s

    def _draw_opened(self, moment: Moment, room: Room) -> None:
        row = next((row for row in moment.requests.rows if row.key == self._opened), None)
        view = timeline_view(moment, row, room)
        head = list(view.head[: max(0, room.height - 2)])
        height = room.height - len(head) - 1
        self._top = min(self._top, max(0, len(view.rows) - height))
        visible = view.rows[self._top : self._top + height]
        number = (self._opened or "").partition(".")[2]
        self.set_title(line(title(moment, TableState()), muted(f" {room.glyphs.dot} {number}")))
        self.set_headline(line(muted(f"{self._close_key} closes" if self._close_key else "")))
        self.set_footnote(footnote(len(visible), len(view.rows), None))
        names = [interval_head()] if view.rows else []
        self._show_lines([*head, *names, *visible], room.height)


def _scrolled(top: int, chosen: int | None, rows: int, height: int) -> int:
    """The first row in sight, so that the chosen one is too and no row stays empty."""
    top = min(top, max(0, rows - height))
    if chosen is None:
        return top
    return chosen if chosen < top else max(top, chosen - height + 1)
