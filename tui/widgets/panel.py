"""A framed group of widgets with a title on the left and a headline figure on the right."""

from rich.style import Style
from textual.containers import Vertical
from textual.geometry import Region
from textual.strip import Strip
from textual.theme import Theme

from ..look import Ink, Look
from ..theme import look_of
from .segments import Line, Piece


def frame_top(title: Line, headline: Line, width: int, look: Look, border: Ink) -> Line:
    """The upper edge of a frame, `width` cells: `╭ Title ───── headline ╮`.

    The headline gives way first, then the title is cut.
    """
    box = look.glyphs.box
    room = width - 4
    if room < 1:
        return Line.of(Piece((box.top_left + box.horizontal * width)[:width], border))
    left = Line.of(Piece(" "), title, Piece(" ")) if title.pieces else Line()
    right = Line.of(Piece(" "), headline, Piece(" ")) if headline.pieces else Line()
    if left.width + right.width > room:
        right = Line()
    left = left.fitted(min(left.width, room))
    edge = box.horizontal * (room - left.width - right.width)
    return Line.of(
        Piece(box.top_left + box.horizontal, border),
        left,
        Piece(edge, border),
        right,
        Piece(box.horizontal + box.top_right, border),
    )


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

    def set_title(self, title: str | Line) -> None:
        """Name the panel."""
        line = title if isinstance(title, Line) else Line.of(Piece(title, Ink.TITLE))
        if line != self._title:
            self._title = line
            self._refresh_edge()

    def set_headline(self, headline: str | Line) -> None:
        """Show the panel's main figure on the right of its upper edge."""
        line = headline if isinstance(headline, Line) else Line.of(Piece(headline, Ink.STRONG))
        if line != self._headline:
            self._headline = line
            self._refresh_edge()

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, self._follow_theme)

    def _follow_theme(self, _theme: Theme) -> None:
        self.refresh()

    def _refresh_edge(self) -> None:
        padding = self.styles.padding
        self.refresh(Region(-padding.left, -padding.top, self.outer_size.width, 1))

    def render_lines(self, crop: Region) -> list[Strip]:
        """The frame lies in the padding, which no child covers and no style can draw on."""
        strips = super().render_lines(crop)
        width, height = self.outer_size
        look = look_of(self.app)
        border = Ink.BORDER_FOCUS if self.has_pseudo_class("focus-within") else Ink.BORDER
        for index, y in enumerate(crop.line_range):
            strips[index] = self._framed(strips[index], y, width, height, crop, look, border)
        return strips

    def _framed(
        self, strip: Strip, y: int, width: int, height: int, crop: Region, look: Look, border: Ink
    ) -> Strip:
        box = look.glyphs.box
        if y == 0:
            line = frame_top(self._title, self._headline, width, look, border)
        elif y == height - 1:
            edge = box.bottom_left + box.horizontal * (width - 2) + box.bottom_right
            line = Line.of(Piece(edge, border))
        else:
            side = Line.of(Piece(box.vertical, border)).strip(look, 1)
            blank = Strip.blank(width - 2)
            return self._finished(Strip.join([side, blank, side]), crop)
        return self._finished(line.strip(look, width), crop)

    def _finished(self, strip: Strip, crop: Region) -> Strip:
        """The strip on the panel's background, with the app's filters, cut to the crop."""
        _, background = self.background_colors
        strip = strip.apply_style(Style(bgcolor=background.rich_color))
        for line_filter in self.get_line_filters():
            strip = strip.apply_filter(line_filter, background)
        return strip.crop(*crop.column_span)
