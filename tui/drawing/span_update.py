"""Sends the terminal exactly the cells that changed, and no control character of their text.

Textual 8.2 cuts a changed span at its right end only: it repaints every line from the left edge of
the widget, and again for each span on that line. Over a slow line that is most of the traffic.
"""

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.control import Control
from rich.segment import Segment
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.strip import Strip

from ...engine.text.cleaning import clean


def clean_update(update: RenderableType | None) -> RenderableType | None:
    """What Textual is about to send, with texts that are safe: the screen's last net.

    Texts are cleaned where they enter; names of themes or files that others show (a palette, a
    dialog) all come through here.
    """
    if isinstance(update, ChopsUpdate):
        return SpanUpdate.of(update)
    if isinstance(update, LayoutUpdate):
        strips: list[Iterable[Strip]] = [map(_clean_strip, line) for line in update.strips]
        return LayoutUpdate([list(line) for line in strips], update.region)
    return update


def _clean_strip(strip: Strip) -> Strip:
    if all(segment.control or clean(segment.text) is segment.text for segment in strip):
        return strip
    return Strip([Segment(clean(each.text), each.style, each.control) for each in strip])


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
                changed = _clean_strip(strip.crop(left - start, right - start))
                sequences.append(Control.move_to(left, y).segment.text)
                sequences.append(changed.render(console))
        return "".join(sequences)
