"""Themes: data in TOML, bundled or the user's own, loaded by one loader.

A theme file gives colours by their meaning and a set of glyphs. It becomes a Textual theme (whose
variables the style sheets use) that also carries the `Palette` which the widgets paint with.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from rich.style import Style
from textual.app import App, ReturnType
from textual.color import Color, ColorParseError
from textual.theme import Theme

from ...engine.files.bounded import read_bounded
from ...engine.files.toml_text import (
    LARGEST_TOML_BYTES,
    UnreadableTomlError,
    decode_toml_text,
)
from ...engine.protocol.errors import BadInputError, CheckpointError
from ...engine.text.cleaning import clean
from ..settings.toml_file import MalformedFileError, decode
from .glyphs import GLYPH_SETS
from .inks import (
    AREA_INKS,
    PART_COUNT,
    PART_INKS,
    PLAIN_PALETTE,
    SERIES_COUNT,
    SERIES_INKS,
    Ink,
    Palette,
)

DEFAULT_THEME = "prodtop-dark"
ASCII_THEME = "ascii"
MONO_THEME = "mono"
TERMINAL_THEME = "terminal"

AREA_STRENGTH = 0.72
"""How much of a series' colour is left inside its filled area; the rest is background."""
RULE_STRENGTH = 0.8
"""The same of the faint colour in rules."""

ATTRIBUTES = frozenset({"bold", "dim", "italic", "underline", "reverse"})
NAMED_COLORS = frozenset({"black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"})

_TERMINAL_VARIABLES = {
    "ansi-background": "ansi_default",
    "ansi-foreground": "ansi_default",
    "block-cursor-foreground": "ansi_default",
    "block-cursor-background": "ansi_default",
    "block-cursor-text-style": "bold reverse",
    "scrollbar": "ansi_default",
    "scrollbar-background": "ansi_default",
}
"""What Textual's own widgets need under a theme that keeps the terminal's background: nothing
there may rest on a colour."""


class ThemeError(BadInputError):
    """A theme file that cannot be used: says which file, which field and what is wrong."""


class Colors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The colours of a theme file, each `[attributes] colour`.

    A colour is `#rrggbb`, one of the terminal's own sixteen (`red`, `bright red`, …), or `default`.
    Attributes are `bold`, `dim`, `italic`, `underline`, `reverse`.
    """

    background: str
    surface: str
    panel: str
    text: str
    strong: str
    muted: str
    faint: str
    accent: str
    ok: str
    warn: str
    bad: str
    mark: str
    threshold: str
    cursor: str
    selected: str
    selected_background: str
    cursor_background: str
    border: str
    border_focus: str
    title: str
    series: Annotated[list[str], msgspec.Meta(min_length=SERIES_COUNT, max_length=SERIES_COUNT)]
    parts: Annotated[list[str], msgspec.Meta(min_length=PART_COUNT, max_length=PART_COUNT)]


class ThemeFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One theme file, field by field."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*\Z", max_length=40)]
    description: str = ""
    dark: bool = True
    glyphs: Literal["unicode", "ascii"] = "unicode"
    colors: Colors


@dataclass
class PaletteTheme(Theme):
    """A Textual theme that carries the palette of our own widgets."""

    palette: Palette = field(default=PLAIN_PALETTE)
    description: str = ""


@dataclass(frozen=True)
class ThemeBook:
    """The themes that loaded, by name, and the errors of those that did not."""

    themes: dict[str, PaletteTheme]
    errors: tuple[ThemeError, ...] = ()

    def get(self, name: str) -> PaletteTheme:
        """The theme of that name. Raises `ThemeError` naming those there are."""
        theme = self.themes.get(name)
        if theme is None:
            names = ", ".join(sorted(self.themes))
            raise ThemeError(f"unknown theme {name!r}: choose one of {names}")
        return theme

    def choose(
        self, asked: str | None, configured: str | None, fitting: str
    ) -> tuple[PaletteTheme, tuple[ThemeError, ...]]:
        """The theme to start with, and what to say of others: which files are broken, and that the
        `configured` one is not there. Raises `ThemeError` where the one `asked` for is not."""
        if asked is not None:
            return self.get(asked), self.errors
        try:
            return self.get(configured or fitting), self.errors
        except ThemeError as error:
            return self.get(fitting), (*self.errors, error)

    def after(self, name: str) -> str:
        """The name of the theme that follows `name`, round and round."""
        names = list(self.themes)
        return names[(names.index(name) + 1) % len(names)] if name in names else names[0]

    def register(self, app: App[ReturnType]) -> None:
        """Make every theme known to `app`."""
        for theme in self.themes.values():
            app.register_theme(theme)


def palette_of(app: App[ReturnType]) -> Palette:
    """The palette of the app's current theme."""
    theme = app.current_theme
    return theme.palette if isinstance(theme, PaletteTheme) else PLAIN_PALETTE


def declines_color(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `NO_COLOR` is set. An app must then be made with `ansi_color=True`, or Textual paints
    greys on black in place of no colour. Ask before: Textual takes it out of the environment."""
    return "NO_COLOR" in environ


def fitting_theme(environ: Mapping[str, str] = os.environ) -> str:
    """The theme to start with when the user chose none.

    ASCII where the terminal or the locale shows no more, no colour where `NO_COLOR` asks for none,
    the terminal's own colours where it has only sixteen.
    """
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "UTF-8"
    terminal = environ.get("TERM", "")
    if "utf" not in locale.lower() or terminal in {"", "dumb", "linux"} or "vt" in terminal:
        return ASCII_THEME
    many = "256" in terminal or "direct" in terminal or "kitty" in terminal
    if declines_color(environ):
        return MONO_THEME
    return DEFAULT_THEME if many or environ.get("COLORTERM") else TERMINAL_THEME


def load_themes(user_folder: Path | None = None) -> ThemeBook:
    """Load the bundled themes and those of `user_folder`, whose names win over bundled ones.

    A file that cannot be used becomes an error in the book; the others load all the same.
    """
    themes: dict[str, PaletteTheme] = {}
    errors: list[ThemeError] = []
    bundled = [
        (entry.name, entry.read_bytes())
        for entry in resources.files("prodtop.themes").iterdir()
        if entry.name.endswith(".toml")
    ]
    for source, data in _sorted_default_first(bundled):
        theme = parse_theme(data, source)
        themes[theme.name] = theme
    for path in sorted(user_folder.glob("*.toml")) if user_folder is not None else ():
        try:
            theme = read_theme(path)
        except ThemeError as error:
            errors.append(error)
        else:
            themes[theme.name] = theme
    return ThemeBook(themes, tuple(errors))


def _sorted_default_first(files: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return sorted(files, key=lambda item: (item[0] != f"{DEFAULT_THEME}.toml", item[0]))


def read_theme(path: Path) -> PaletteTheme:
    """Read a theme file of the user's own. Raises `ThemeError`."""
    try:
        data = read_bounded(path, LARGEST_TOML_BYTES)
    except FileNotFoundError:
        raise ThemeError(f"theme {path}: no such file") from None
    except CheckpointError as error:
        raise ThemeError(f"theme {error}") from None
    return parse_theme(data, str(path))


def parse_theme(data: bytes, source: str) -> PaletteTheme:
    """Read one theme file. `source` names it in errors. Raises `ThemeError`."""
    source = clean(source)
    try:
        content = decode(decode_toml_text(data), ThemeFile)
    except (UnreadableTomlError, MalformedFileError) as error:
        raise ThemeError(f"theme {source}: {error}") from None
    content = msgspec.structs.replace(content, description=clean(content.description))
    return _Painter(content, source).theme()


class _Painter:
    """Turns the colours of one theme file into styles and a Textual theme."""

    def __init__(self, content: ThemeFile, source: str) -> None:
        self._content = content
        self._source = source
        self._background = self._color("background", content.colors.background)

    def theme(self) -> PaletteTheme:
        colors = self._content.colors
        hexes = {
            name: self._css(name, value)
            for name in Colors.__struct_fields__
            if isinstance(value := getattr(colors, name), str)
        }
        variables = {
            "panel-border": hexes["border"],
            "panel-border-focus": hexes["border_focus"],
            "text-muted": hexes["muted"],
            **(_TERMINAL_VARIABLES if self._background is None else {}),
        }
        return PaletteTheme(
            name=self._content.name,
            description=self._content.description,
            primary=hexes["accent"],
            secondary=hexes["border_focus"],
            accent=hexes["accent"],
            foreground=hexes["text"],
            background=hexes["background"],
            surface=hexes["surface"],
            panel=hexes["panel"],
            warning=hexes["warn"],
            error=hexes["bad"],
            success=hexes["ok"],
            dark=self._content.dark,
            ansi=self._background is None,
            variables=variables,
            palette=self._palette(),
        )

    def _palette(self) -> Palette:
        colors = self._content.colors
        styles = {
            ink: self._style(ink.value, getattr(colors, ink.value))
            for ink in Ink
            if hasattr(colors, ink.value)
        }
        styles[Ink.RULE] = self._drawn_back("faint", colors.faint, RULE_STRENGTH)
        styles[Ink.SELECTED] += self._style(
            "selected_background", colors.selected_background, background=True
        )
        for i, value in enumerate(colors.series):
            styles[SERIES_INKS[i]] = self._style(f"series[{i}]", value)
            styles[AREA_INKS[i]] = self._drawn_back(f"series[{i}]", value, AREA_STRENGTH)
        for i, value in enumerate(colors.parts):
            styles[PART_INKS[i]] = self._style(f"parts[{i}]", value)
        return Palette(
            name=self._content.name,
            glyphs=GLYPH_SETS[self._content.glyphs],
            styles=styles,
            cursor_column=self._style(
                "cursor_background", colors.cursor_background, background=True
            ),
        )

    def _style(self, name: str, value: str, *, background: bool = False) -> Style:
        """The colour as that of text, or as its background, with the attributes."""
        attributes, _ = self._split(value)
        color = self._color(name, value)
        rich_color = None if color is None else color.rich_color
        style = Style(bgcolor=rich_color) if background else Style(color=rich_color)
        return style + Style.parse(" ".join(attributes))

    def _drawn_back(self, name: str, value: str, strength: float) -> Style:
        """A colour blended into the background, where both are colours of ours."""
        color = self._color(name, value)
        if color is None or color.ansi is not None or self._background is None:
            return self._style(name, value)
        return Style(color=self._background.blend(color, strength).rich_color)

    def _css(self, name: str, value: str) -> str:
        color = self._color(name, value)
        return "ansi_default" if color is None else color.css if color.ansi else color.hex

    def _color(self, name: str, value: str) -> Color | None:
        """The colour part of `value`; `None` is the terminal's own default."""
        _, color = self._split(value)
        if color == "default":
            return None
        named = color.removeprefix("bright ")
        try:
            if named in NAMED_COLORS:
                return Color.parse("ansi_" + color.replace(" ", "_"))
            if color.startswith("#"):
                return Color.parse(color)
        except ColorParseError:
            pass
        raise ThemeError(
            f"theme {self._source}: colors.{name}: {value!r} is not a colour: "
            "write #rrggbb, a terminal colour such as `bright red`, or `default`"
        )

    @staticmethod
    def _split(value: str) -> tuple[list[str], str]:
        """The attributes and the colour of `[attributes] colour`."""
        words = value.split()
        attributes = [word for word in words if word in ATTRIBUTES]
        color = " ".join(word for word in words if word not in ATTRIBUTES)
        return attributes, color or "default"
