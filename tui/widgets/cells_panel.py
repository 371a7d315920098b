"""A panel whose cursor walks over a grid, in both directions."""

from typing import ClassVar

from textual.binding import Binding
from textual.message import Message

from .rows_panel import RowsPanel


class CellsPanel(RowsPanel, inherit_bindings=False):
    """Shows a `RowsView`. Arrows ask for a step of the cursor, which is the screen's to keep."""

    BINDINGS: ClassVar[list[Binding | tuple[str, str] | tuple[str, str, str]]] = [
        ("left", "step(-1, 0)"),
        ("right", "step(1, 0)"),
        ("up", "step(0, -1)"),
        ("down", "step(0, 1)"),
        ("home", "step(-9999, 0)"),
        ("end", "step(9999, 0)"),
        ("enter", "app.maximize_panel"),
    ]

    class Stepped(Message):
        """The cursor is to go so many columns to the right and rows down."""

        def __init__(self, columns: int, rows: int) -> None:
            super().__init__()
            self.columns = columns
            self.rows = rows

    def action_step(self, columns: int, rows: int) -> None:
        self.post_message(self.Stepped(columns, rows))
