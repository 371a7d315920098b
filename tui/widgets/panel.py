"""A framed group of widgets with a title on the left and a headline figure on the right."""

from rich.style import Style
from textual.containers import Vertical
from textual.geometry import Region
from textual.strip import Strip
from textual.theme import Theme

from ..drawing.frame import frame_bottom, frame_top
from ..drawing.line import Line, Piece, changed_spans
from ..style.inks import Ink
from ..style.theme import palette_of
from .lines import LinesView


class Panel(Vertical):
    """A container with a frame in the theme's glyphs. Its style sheet must keep `padding` ≥ 1.

    `title` and `headline` may be set at every tick: only the upper edge is repainted.
    """

    DEFAULT_CSS = """
    Panel { padding: 1 2; height: 1fr; width: 1fr; }
    """

    def __init__(
        self,
        title: str = "",
        *,
        id: str | None = None,  # noqa: A002 (Textual's name for it)
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._title = Line.of(Piece(title, Ink.TITLE))
        self._headline = Line()
        self._footnote = Line()
        self._strips: dict[int, tuple[tuple[object, ...], Strip]] = {}

    def set_title(self, title: str | Line) -> None:
        """Name the panel."""
        line = title if isinstance(title, Line) else Line.of(Piece(title, Ink.TITLE))
        if line != self._title:
            self._change_edge(line, self._headline)

    def set_headline(self, headline: str | Line) -> None:
        """Show the panel's main figure on the right of its upper edge."""
        line = headline if isinstance(headline, Line) else Line.of(Piece(headline, Ink.STRONG))
        if line != self._headline:
            self._change_edge(self._title, line)

    @property
    def title(self) -> str:
        """The title as plain text."""
        return self._title.plain

    @property
    def text(self) -> str:
        """What it says as plain text: title and headline, and its lines without its charts."""
        rows = [" ".join(filter(None, (self._title.plain, self._headline.plain)))]
        for view in self.query(LinesView):
            rows += [line.plain.rstrip() for line in view.lines]
        return "\n".join(rows).strip("\n")

    @property
    def heading(self) -> str:
        """Title and headline as plain text."""
        return self.text.partition("\n")[0]

    def set_footnote(self, footnote: Line) -> None:
        """Say something short on the right of the lower edge, such as how much lies below."""
        if footnote != self._footnote:
            self._footnote = footnote
            self.refresh()

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, self._follow_theme)

    def _follow_theme(self, _theme: Theme) -> None:
        self.refresh()

    def _change_edge(self, title: Line, headline: Line) -> None:
        """Repaint what is different in the upper edge."""
        width = self.outer_size.width
        before = self._upper_edge(width)
        self._title, self._headline = title, headline
        padding = self.styles.padding
        regions = [
            Region(x - padding.left, -padding.top, length, 1)
            for x, length in changed_spans(before, self._upper_edge(width))
        ]
        if regions:
            self.refresh(*regions)

    def _upper_edge(self, width: int) -> Line:
        palette = palette_of(self.app)
        return frame_top(self._title, self._headline, width, palette, self._border())

    def render_lines(self, crop: Region) -> list[Strip]:
        """The frame lies in the padding, which no child covers and no style can draw on.

        Textual asks for all lines whenever any widget has changed: they stay as long as what
        they are made of is the same.
        """
        edges = [self._strip(edge, line) for edge, line in enumerate(self._edges())]
        last = self.outer_size.height - 1
        strips = [edges[0 if y == 0 else 2 if y == last else 1] for y in crop.line_range]
        return [strip.crop(*crop.column_span) for strip in strips]

    def _edges(self) -> tuple[Line, Line, Line]:
        """The upper edge, a line between the edges, the lower edge."""
        width = self.outer_size.width
        box, border = palette_of(self.app).glyphs.box, self._border()
        side = Piece(box.vertical, border)
        return (
            self._upper_edge(width),
            Line.of(side, " " * (width - 2), side),
            frame_bottom(self._footnote, width, palette_of(self.app), border),
        )

    def _strip(self, edge: int, line: Line) -> Strip:
        _, background = self.background_colors
        palette, filters = palette_of(self.app), tuple(self.get_line_filters())
        key = (line, palette.name, background, filters)
        cached = self._strips.get(edge)
        if cached is None or cached[0] != key:
            strip = line.strip(palette, self.outer_size.width)
            strip = strip.apply_style(Style(bgcolor=background.rich_color))
            for line_filter in filters:
                strip = strip.apply_filter(line_filter, background)
            cached = self._strips[edge] = (key, strip)
        return cached[1]

    def _border(self) -> Ink:
        return Ink.BORDER_FOCUS if self.has_pseudo_class("focus-within") else Ink.BORDER
