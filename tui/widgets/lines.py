"""A widget of a few lines of inked text that repaints only what changed."""

from collections.abc import Sequence

from textual import events
from textual.geometry import Region
from textual.strip import Strip

from ..drawing.line import Line, changed_spans
from .themed import ThemedWidget


class LinesView(ThemedWidget):
    """Shows lines, one a row, cut or padded to its width. Cheap to call at every tick."""

    DEFAULT_CSS = """
    LinesView { height: auto; width: 1fr; }
    """

    def __init__(
        self,
        lines: Sequence[Line] = (),
        *,
        id: str | None = None,  # noqa: A002 (Textual's name for it)
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: tuple[Line, ...] = tuple(lines)

    @property
    def lines(self) -> tuple[Line, ...]:
        return self._lines

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Show these lines from now on."""
        before, self._lines = self._lines, tuple(lines)
        if len(before) != len(self._lines):
            self.refresh(layout=self.styles.is_auto_height)
            return
        changed = [
            Region(x, y, length, 1)
            for y, (old, new) in enumerate(zip(before, self._lines, strict=True))
            if old != new
            for x, length in changed_spans(old, new)
        ]
        if changed:
            self.refresh(*changed)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(self._lines)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.backdrop)
        return self._lines[y].strip(self.palette, width).apply_style(self.backdrop)

    def on_resize(self, _event: events.Resize) -> None:
        self.refresh()
