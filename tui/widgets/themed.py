"""The base of widgets that paint with inks: follows the app's theme."""

from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.theme import Theme
from textual.widget import Widget

from ..style.inks import Look
from ..style.theme import look_of


class Inked(Widget):
    """A widget that paints itself with the look of the theme in use."""

    backdrop: Style = Style.null()
    """The background beneath the widget, which every segment of a line must carry."""

    _look: Look | None = None

    @property
    def look(self) -> Look:
        """The look to paint with."""
        if self._look is None:
            self._look = look_of(self.app)
        return self._look

    def render_lines(self, crop: Region) -> list[Strip]:
        """Note the background once for all lines: finding it walks up to the screen."""
        _, background = self.background_colors
        self.backdrop = Style(bgcolor=background.rich_color)
        return super().render_lines(crop)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, self._follow_theme)

    def _follow_theme(self, _theme: Theme) -> None:
        self._look = None
        self.look_changed()
        self.refresh()

    def look_changed(self) -> None:
        """The theme is another one: forget what was made with the old one."""
