"""Every bundled theme: text is read and marks are seen on its grounds, and inks that mean different
things differ; in 24-bit colour, and in what a terminal of 256 colours makes of it."""

from collections.abc import Callable
from itertools import combinations

import pytest
from colorimetry import GREY_SATURATION, contrast, distance, in_256_colors, saturation
from prodtop.tui.style.inks import AREA_INKS, PART_INKS, SERIES_INKS, Ink
from prodtop.tui.style.theme import PaletteTheme, load_themes
from rich.color import Color

THEMES = list(load_themes().themes.values())
COLOURED = [theme for theme in THEMES if not theme.ansi]
TEXT_INKS = (
    Ink.TEXT,
    Ink.STRONG,
    Ink.MUTED,
    Ink.FAINT,
    Ink.ACCENT,
    Ink.OK,
    Ink.WARN,
    Ink.BAD,
    Ink.MARK,
    Ink.THRESHOLD,
    Ink.CURSOR,
    Ink.TITLE,
    *SERIES_INKS,
)
"""Inks of words and figures; a legend writes in those of the series."""
MARK_INKS = (Ink.RULE, Ink.BORDER_FOCUS, *AREA_INKS, *PART_INKS)
"""Inks of lines, bars and areas. A frame that has no focus is an ornament."""
MEANINGS = (*SERIES_INKS, Ink.MARK, Ink.WARN, Ink.THRESHOLD, Ink.BAD)
"""What meets in one chart, and must be told apart."""
LEAST_DISTANCE = 15.0

Seen = Callable[[Color], Color]


def as_it_is(color: Color) -> Color:
    return color


SEEN = pytest.mark.parametrize("seen", [as_it_is, in_256_colors], ids=["24-bit", "256 colours"])
EVERY = pytest.mark.parametrize("theme", COLOURED, ids=lambda theme: theme.name)


def grounds(theme: PaletteTheme, seen: Seen) -> list[Color]:
    assert theme.background is not None
    assert theme.surface is not None
    assert theme.panel is not None
    return [seen(Color.parse(name)) for name in (theme.background, theme.surface, theme.panel)]


def ink_color(theme: PaletteTheme, ink: Ink) -> Color:
    color = theme.palette.style(ink).color
    assert color is not None
    return color


@SEEN
@EVERY
def test_text_is_read_and_marks_are_seen(theme: PaletteTheme, seen: Seen) -> None:
    low = [
        (ink.value, round(ratio, 2))
        for inks, least in ((TEXT_INKS, 4.5), (MARK_INKS, 3.0))
        for ink in inks
        if (
            ratio := min(
                contrast(seen(ink_color(theme, ink)), ground) for ground in grounds(theme, seen)
            )
        )
        < least
    ]
    assert low == []


@SEEN
@EVERY
def test_inks_of_different_meaning_differ(theme: PaletteTheme, seen: Seen) -> None:
    near = [
        (one.value, other.value, round(apart, 1))
        for one, other in combinations(MEANINGS, 2)
        if (apart := distance(seen(ink_color(theme, one)), seen(ink_color(theme, other))))
        < LEAST_DISTANCE
    ]
    assert near == []


@EVERY
def test_greys_stay_grey_in_256_colours(theme: PaletteTheme) -> None:
    """The cube of 6 × 6 × 6 has no greys with a cast: blue ones would turn purple or teal."""
    greys = {
        ink.value: color
        for ink in Ink
        if saturation(color := ink_color(theme, ink)) < GREY_SATURATION
    }
    column = theme.palette.cursor_column.bgcolor
    assert column is not None
    for name, color in (greys | {"cursor column": column}).items():
        assert saturation(in_256_colors(color)) <= saturation(color) + 0.02, name
    for ground in grounds(theme, in_256_colors):
        assert saturation(ground) == 0


@SEEN
@EVERY
def test_ranks_of_text_differ(theme: PaletteTheme, seen: Seen) -> None:
    """Strong, text, muted and faint stand out in this order."""
    ground = grounds(theme, seen)[0]
    ranks = [contrast(seen(ink_color(theme, ink)), ground) for ink in RANKS]
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[1] - ranks[2] > 0.5
    if theme.name != "high-contrast":
        assert ranks[2] - ranks[3] > 0.5


RANKS = (Ink.STRONG, Ink.TEXT, Ink.MUTED, Ink.FAINT)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_named_colours_of_different_meaning_differ_too(theme: PaletteTheme) -> None:
    """Of the terminal's own colours only the names are known. A theme without any tells series
    apart by their signs and strokes."""
    styles = [theme.palette.style(ink) for ink in MEANINGS]
    colors = [style.color for style in styles]
    if any(color is not None and not color.is_default for color in colors):
        assert len(set(colors)) == len(colors)
