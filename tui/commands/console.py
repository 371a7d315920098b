"""How commands print: tables by Rich, without a control character from outside."""

import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ...engine.text.clean_stream import raw_stream
from ...engine.text.cleaning import clean


class CleanConsole(Console):
    """Prints to stdout. Escapes are those of its own styles alone.

    `piped_width`: columns where there is no terminal to ask.
    """

    def __init__(self, piped_width: int | None = None, *, highlight: bool = True) -> None:
        super().__init__(
            file=raw_stream(sys.stdout),
            width=None if sys.stdout.isatty() else piped_width,
            markup=False,
            highlight=highlight,
        )

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else clean(segment.text, keep_newlines=True)
            yield segment if text == segment.text else Segment(text, segment.style)
