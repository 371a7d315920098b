"""Sends the terminal exactly the cells that changed.

Textual 8.2 cuts a changed span at its right end only: it repaints every line from the left edge of
the widget, and again for each span on that line. Over a slow line that is most of the traffic.
"""

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate


class SpanUpdate(ChopsUpdate):
    """A partial update whose spans are cut at both ends."""

    @classmethod
    def of(cls, update: ChopsUpdate) -> "SpanUpdate":
        return cls(update.chops, update.spans, update.chop_ends)

    def render_segments(self, console: Console) -> str:
        """The escape sequences and text of all spans. A chop is a widget's part of a line."""
        sequences: list[str] = []
        for y, first, last in self.spans:
            for end, (start, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                left, right = max(start, first), min(end, last)
                if strip is None or left >= right:
                    continue
                changed = strip.crop(left - start, right - start)
                sequences.append(Control.move_to(left, y).segment.text)
                sequences.append(changed.render(console))
        return "".join(sequences)
