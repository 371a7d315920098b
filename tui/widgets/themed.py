"""The base of widgets that paint themselves in the app's theme, and follow it."""

from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.theme import Theme
from textual.widget import Widget

from ..style.inks import Palette
from ..style.theme import palette_of


class ThemedWidget(Widget):
    """A widget that paints itself with the palette of the theme in use."""

    backdrop: Style = Style.null()
    """The background beneath the widget, which every segment of a line must carry."""

    _palette: Palette | None = None

    @property
    def palette(self) -> Palette:
        """The palette to paint with."""
        if self._palette is None:
            self._palette = palette_of(self.app)
        return self._palette

    def render_lines(self, crop: Region) -> list[Strip]:
        """Note the background once for all lines: finding it walks up to the screen."""
        _, background = self.background_colors
        self.backdrop = Style(bgcolor=background.rich_color)
        return super().render_lines(crop)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, self._follow_theme)

    def _follow_theme(self, _theme: Theme) -> None:
        self._palette = None
        self.palette_changed()
        self.refresh()

    def palette_changed(self) -> None:
        """Called after a change of theme: forget what was made with the old palette."""
