"""Inks: the roles that text plays; and palettes, which give each ink a terminal style."""

from dataclasses import dataclass
from enum import StrEnum

from rich.style import Style

from .glyphs import UNICODE, Glyphs

SERIES_COUNT = 6
PART_COUNT = 5


class Ink(StrEnum):
    """The role a piece of text plays. Widgets name roles; the theme gives them colours."""

    TEXT = "text"
    STRONG = "strong"
    """The figures and names that the eye should find first."""
    MUTED = "muted"
    """Units, labels, secondary figures."""
    FAINT = "faint"
    """What is read last: figures that are missing or old, remarks, what cannot be chosen."""
    RULE = "rule"
    """Axes, dots between facts and empty gauge cells: seen, not read. Made from `faint`."""
    ACCENT = "accent"
    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    MARK = "mark"
    THRESHOLD = "threshold"
    CURSOR = "cursor"
    SELECTED = "selected"
    """The active item of a row of choices."""
    BORDER = "border"
    BORDER_FOCUS = "border_focus"
    TITLE = "title"
    SERIES_1 = "series_1"
    SERIES_2 = "series_2"
    SERIES_3 = "series_3"
    SERIES_4 = "series_4"
    SERIES_5 = "series_5"
    SERIES_6 = "series_6"
    AREA_1 = "area_1"
    """The inside of a filled area: its series' colour, drawn back towards the background."""
    AREA_2 = "area_2"
    AREA_3 = "area_3"
    AREA_4 = "area_4"
    AREA_5 = "area_5"
    AREA_6 = "area_6"
    PART_1 = "part_1"
    PART_2 = "part_2"
    PART_3 = "part_3"
    PART_4 = "part_4"
    PART_5 = "part_5"


SERIES_INKS: tuple[Ink, ...] = tuple(Ink(f"series_{i}") for i in range(1, SERIES_COUNT + 1))
AREA_INKS: tuple[Ink, ...] = tuple(Ink(f"area_{i}") for i in range(1, SERIES_COUNT + 1))
PART_INKS: tuple[Ink, ...] = tuple(Ink(f"part_{i}") for i in range(1, PART_COUNT + 1))


@dataclass(frozen=True)
class Palette:
    """What widgets paint with under one theme: a style for every ink, and the glyphs."""

    name: str
    glyphs: Glyphs
    styles: dict[Ink, Style]
    cursor_column: Style
    """Laid over every cell of the cursor's column."""

    def style(self, ink: Ink) -> Style:
        """The terminal style of `ink`; the background is left to the widget beneath."""
        return self.styles[ink]


PLAIN_PALETTE = Palette(
    name="plain",
    glyphs=UNICODE,
    styles={ink: Style.null() for ink in Ink},
    cursor_column=Style(reverse=True),
)
"""What widgets use under a theme that is not one of ours."""
