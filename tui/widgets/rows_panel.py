"""A panel of rows to choose from, with a cursor while it has the focus; many rows scroll."""

from itertools import chain

from textual.app import ComposeResult
from textual.geometry import Size
from textual.message import Message

from ..drawing.line import EMPTY, Line, Piece, line
from ..style.inks import Ink
from ..style.theme import palette_of
from ..views.panel import Row, RowsView
from .lines import LinesView
from .panel import Panel


class RowsPanel(Panel, can_focus=True):
    """Shows a `RowsView`. ↑ ↓ move the cursor over rows with a target, and enter opens one; where
    no row has any, they scroll."""

    DEFAULT_CSS = """
    RowsPanel LinesView { height: 1fr; }
    """

    BINDINGS = [
        ("up", "move(-1)"),
        ("down", "move(1)"),
        ("pageup", "move(-10)"),
        ("pagedown", "move(10)"),
        ("home", "move(-9999)"),
        ("end", "move(9999)"),
        ("enter", "open"),
    ]

    class Opened(Message):
        """A row was chosen."""

        def __init__(self, panel: "RowsPanel", target: str) -> None:
            super().__init__()
            self.panel = panel
            self.target = target

    class Moved(Message):
        """The cursor went to another row."""

        def __init__(self, panel: "RowsPanel", target: str | None) -> None:
            super().__init__()
            self.panel = panel
            self.target = target

    class Resized(Message):
        """There is other room: what is shown must be made anew for it."""

        def __init__(self, panel: "RowsPanel") -> None:
            super().__init__()
            self.panel = panel

    _view: RowsView | None = None
    _awaited: str | None = None
    _cursor = 0
    _top = 0
    _drawn_as: tuple[Size, bool, str] | None = None

    def compose(self) -> ComposeResult:
        yield LinesView()

    @property
    def target(self) -> str | None:
        """What the row under the cursor opens."""
        rows = self._rows()
        return rows[self._cursor].target if rows else None

    def show(self, view: RowsView) -> None:
        """Draw rows; the cursor stays at its place among them. The view that is shown already, in
        the room that it has, is not drawn again."""
        if view is self._view and self._awaited is None and self._drawn_as == self._state():
            return
        self._view = view
        self.set_title(view.title)
        self.set_headline(view.figures)
        if self._awaited is not None:
            matching = [i for i, row in enumerate(view.rows) if row.target == self._awaited]
            if matching:
                self._cursor, self._awaited = matching[0], None
        self._cursor = min(self._cursor, max(0, len(view.rows) - 1))
        if view.rows and view.rows[self._cursor].target is None:
            self._cursor = self._nearest(self._cursor, 1)
        self._draw()

    def _state(self) -> tuple[Size, bool, str]:
        """What its lines depend on, beside the view."""
        return self.size, self.has_focus, palette_of(self.app).name

    def point_at(self, index: int) -> None:
        """Put the cursor on a row."""
        self._cursor = index
        self._draw()

    def go_to(self, target: str) -> None:
        """Put the cursor on the row that opens `target`, as soon as there is one."""
        self._awaited = target
        if self._view is not None:
            self.show(self._view)

    def on_focus(self) -> None:
        self._draw()

    def on_blur(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self.post_message(self.Resized(self))

    def action_move(self, steps: int) -> None:
        """The cursor to the next row with a target, or that many rows on; without targets the rows
        themselves move."""
        rows = self._rows()
        if not any(row.target is not None for row in rows):
            self._top = max(0, self._top + steps)
            self._draw()
            return
        index = min(max(0, self._cursor + steps), len(rows) - 1)
        self._cursor = self._nearest(index, 1 if steps > 0 else -1)
        self._draw()
        self.post_message(self.Moved(self, self.target))

    def action_open(self) -> None:
        if self.target is not None:
            self.post_message(self.Opened(self, self.target))

    def _rows(self) -> tuple[Row, ...]:
        return self._view.rows if self._view is not None else ()

    def _nearest(self, index: int, direction: int) -> int:
        """The next row with a target in a direction, or else in the other; `index` if none is."""
        rows = self._rows()
        onward = range(index, len(rows)) if direction > 0 else range(index, -1, -1)
        back = range(index, -1, -1) if direction > 0 else range(index, len(rows))
        for place in chain(onward, back):
            if rows[place].target is not None:
                return place
        return index

    def _draw(self) -> None:
        width, height = self.size
        if self._view is None or not self.display or width <= 0 or height <= 0:
            return
        self._drawn_as = self._state()
        view = self._view
        head, foot = list(view.head[:height]), list(view.foot)
        rows_left = max(1, height - len(head))
        if rows_left - len(foot) < min(3, len(view.rows)):
            foot = foot[: max(0, rows_left - min(3, len(view.rows)))]
        rows_left -= len(foot)
        cursor = self._cursor if self.target is not None else None
        self._top = _scrolled(self._top, cursor, len(view.rows), rows_left)
        visible = view.rows[self._top : self._top + rows_left]
        body = [self._row(index, row) for index, row in enumerate(visible, self._top)]
        body += [EMPTY] * (rows_left - len(body))
        self.query_one(LinesView).set_lines([*head, *body, *foot])
        below = len(view.rows) - self._top - rows_left
        arrow = palette_of(self.app).glyphs.arrow_down
        self.set_footnote(line(Piece(f"{arrow} {below} more" if below > 0 else "", Ink.MUTED)))

    def _row(self, index: int, row: Row) -> Line:
        drawn = row.drawn
        if index != self._cursor or row.target is None or not self.has_focus:
            return drawn
        pointer = palette_of(self.app).glyphs.pointer
        first, *others = drawn.pieces or (Piece(" "),)
        rest = Piece(first.text[1:], first.ink)
        return line(Piece(pointer, Ink.ACCENT), _brighter(rest), *map(_brighter, others))


def _brighter(piece: Piece) -> Piece:
    """Labels of the chosen row stand out; figures keep their meaning's ink."""
    return Piece(piece.text, Ink.STRONG) if piece.ink in (Ink.MUTED, Ink.TEXT) else piece


def _scrolled(top: int, cursor: int | None, rows: int, height: int) -> int:
    """The first row to show so that the cursor is in sight and no row stays empty."""
    top = min(top, max(0, rows - height))
    if cursor is None:
        return top
    if cursor < top:
        return cursor if cursor > 1 else 0
    lowest = cursor - height + 1
    return top if top > lowest else lowest
