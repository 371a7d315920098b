"""Themes: bundled ones load, read well, and survive few colours; bad ones are named."""

from itertools import product
from pathlib import Path

import pytest
from prodtop.tui.drawing.line import Line, Piece
from prodtop.tui.style.glyphs import ASCII, UNICODE, Glyphs
from prodtop.tui.style.inks import SERIES_INKS, Ink
from prodtop.tui.style.theme import (
    ASCII_THEME,
    DEFAULT_THEME,
    MONO_THEME,
    TERMINAL_THEME,
    PaletteTheme,
    ThemeBook,
    ThemeError,
    declines_color,
    fitting_theme,
    load_themes,
    palette_of,
    parse_theme,
)
from prodtop.tui.widgets.lines import LinesView
from rich.color import Color, ColorSystem
from textual.app import App, ComposeResult
from textual.geometry import Region

BOOK = load_themes()
COLOURED = [theme for theme in BOOK.themes.values() if not theme.ansi]
READ_INKS = [
    Ink.TEXT,
    Ink.STRONG,
    Ink.MUTED,
    Ink.ACCENT,
    Ink.OK,
    Ink.WARN,
    Ink.BAD,
    Ink.MARK,
    Ink.THRESHOLD,
    Ink.CURSOR,
    Ink.TITLE,
    *SERIES_INKS,
]
"""Inks of text; frames, axes and the insides of areas are seen, not read."""

SOURCE = Path(__file__).parents[3] / "themes" / f"{DEFAULT_THEME}.toml"


def luminance(color: Color) -> float:
    """Relative luminance, WCAG 2.2."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in color.get_truecolor())
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Color, other: Color) -> float:
    """Contrast ratio, WCAG 2.2: 1 … 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_oracle_knows_the_extremes() -> None:
    assert contrast(Color.parse("#000000"), Color.parse("#ffffff")) == pytest.approx(21)
    assert contrast(Color.parse("#777777"), Color.parse("#ffffff")) == pytest.approx(4.48, abs=0.01)


def test_the_bundled_themes_are_all_there_and_the_default_is_first() -> None:
    assert BOOK.errors == ()
    assert next(iter(BOOK.themes)) == DEFAULT_THEME
    assert {
        "prodtop-light",
        "high-contrast",
        "ember",
        ASCII_THEME,
        MONO_THEME,
        TERMINAL_THEME,
    } < set(BOOK.themes)


@pytest.mark.parametrize("theme", COLOURED, ids=lambda theme: theme.name)
def test_text_stands_out_from_every_background_it_lies_on(theme: PaletteTheme) -> None:
    for ground, ink in product((theme.background, theme.surface, theme.panel), READ_INKS):
        color = theme.palette.style(ink).color
        assert ground is not None
        assert color is not None
        assert contrast(color, Color.parse(ground)) >= 4.5, (ink, ground)


@pytest.mark.parametrize("theme", COLOURED, ids=lambda theme: theme.name)
def test_the_selected_item_and_the_cursor_column_stay_readable(theme: PaletteTheme) -> None:
    selected = theme.palette.style(Ink.SELECTED)
    assert selected.color is not None
    assert selected.bgcolor is not None
    assert contrast(selected.color, selected.bgcolor) >= 4.5
    column = theme.palette.cursor_column.bgcolor
    cursor = theme.palette.style(Ink.CURSOR).color
    assert column is not None
    assert cursor is not None
    assert contrast(cursor, column) >= 4.5


@pytest.mark.parametrize("theme", COLOURED, ids=lambda theme: theme.name)
def test_nothing_vanishes_in_sixteen_colours(theme: PaletteTheme) -> None:
    ground = Color.parse(str(theme.background)).downgrade(ColorSystem.STANDARD)
    for ink in set(Ink) - {Ink.SELECTED}:
        color = theme.palette.style(ink).color
        assert color is not None
        assert color.downgrade(ColorSystem.STANDARD).number != ground.number, ink


@pytest.mark.parametrize(("name", "glyphs"), [(ASCII_THEME, ASCII), (MONO_THEME, UNICODE)])
def test_two_themes_need_no_colour_and_one_no_unicode(name: str, glyphs: Glyphs) -> None:
    palette = BOOK.get(name).palette
    assert palette.glyphs is glyphs
    assert all(style.color is None and style.bgcolor is None for style in palette.styles.values())
    assert palette.style(Ink.SELECTED).reverse


def test_glyphs_are_one_cell_each_and_ascii_is_ascii() -> None:
    for glyphs, plain in ((UNICODE, False), (ASCII, True)):
        for name in glyphs.__dataclass_fields__:
            value = getattr(glyphs, name)
            if isinstance(value, str):
                if plain:
                    assert value.isascii(), name
                if name not in {"gauge_partial", "patterns", "shades"}:
                    assert len(value) == 1, name


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("[colors]", "[colours]"), ("colours",)),
        (("#6cb6eb", "#6cb6e"), ("colors.accent", "#6cb6e")),
        (("#6cb6eb", "blueish"), ("colors.accent", "blueish")),
        (("dark = true", "dark = 'yes'"), ("dark", "bool")),
        (('glyphs = "unicode"', 'glyphs = "emoji"'), ("glyphs", "emoji")),
        (('name = "prodtop-dark"', ""), ("name",)),
        (('name = "prodtop-dark"', 'name = "Über"'), ("name",)),
        (('ok = "', 'okay = "'), ("colors", "okay")),
        (("series = [", "series = ['#ffffff', "), ("colors.series", "6")),
        (("[colors]", "[colors"), ("line",)),
    ],
)
def test_a_malformed_theme_says_which_field_and_why(
    change: tuple[str, str], expected: tuple[str, ...]
) -> None:
    data = SOURCE.read_text(encoding="utf-8").replace(*change, 1).encode()
    with pytest.raises(ThemeError) as caught:
        parse_theme(data, "mine.toml")
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in ("mine.toml", *expected)), message


def test_a_bad_user_theme_is_reported_and_the_others_load(tmp_path: Path) -> None:
    good = SOURCE.read_text(encoding="utf-8").replace(DEFAULT_THEME, "mine", 1)
    (tmp_path / "mine.toml").write_text(good, encoding="utf-8")
    (tmp_path / "broken.toml").write_text("name = ", encoding="utf-8")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "folder.toml").mkdir()
    book = load_themes(tmp_path)
    assert set(book.themes) == {*BOOK.themes, "mine"}
    assert len(book.errors) == 3
    for error, name in zip(book.errors, ("binary", "broken", "folder"), strict=True):
        assert f"{name}.toml" in str(error)


def test_a_user_theme_takes_the_place_of_a_bundled_one(tmp_path: Path) -> None:
    mine = SOURCE.read_text(encoding="utf-8").replace("#c5d0db", "#ffffff", 1)
    (tmp_path / "dark.toml").write_text(mine, encoding="utf-8")
    color = load_themes(tmp_path).get(DEFAULT_THEME).palette.style(Ink.TEXT).color
    assert color is not None
    assert color.get_truecolor().hex == "#ffffff"


def test_a_missing_theme_folder_is_no_error(tmp_path: Path) -> None:
    assert load_themes(tmp_path / "none").errors == ()


def test_an_unknown_theme_names_those_there_are() -> None:
    with pytest.raises(ThemeError, match=r"'drak'.*prodtop-dark"):
        BOOK.get("drak")


def test_t_walks_through_all_themes_and_comes_back() -> None:
    name, seen = DEFAULT_THEME, []
    for _ in BOOK.themes:
        name = BOOK.after(name)
        seen.append(name)
    assert sorted(seen) == sorted(BOOK.themes)
    assert name == DEFAULT_THEME


@pytest.mark.parametrize(
    ("environ", "theme"),
    [
        ({"TERM": "xterm-256color", "LANG": "en_US.UTF-8"}, DEFAULT_THEME),
        ({"TERM": "xterm", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}, DEFAULT_THEME),
        ({"TERM": "tmux-256color"}, DEFAULT_THEME),
        ({"TERM": "screen", "LANG": "en_US.UTF-8"}, TERMINAL_THEME),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, MONO_THEME),
        ({"TERM": "linux"}, ASCII_THEME),
        ({"TERM": "xterm-256color", "LANG": "C"}, ASCII_THEME),
        ({"TERM": "xterm-256color", "LANG": "en_US.UTF-8", "LC_ALL": "POSIX"}, ASCII_THEME),
        ({}, ASCII_THEME),
    ],
)
def test_the_first_theme_fits_the_terminal(environ: dict[str, str], theme: str) -> None:
    assert fitting_theme(environ) == theme


class Shown(App[None]):
    """One line in several inks."""

    def __init__(self, book: ThemeBook, *, ansi_color: bool | None = None) -> None:
        super().__init__(ansi_color=ansi_color)
        book.register(self)

    def compose(self) -> ComposeResult:
        yield LinesView([Line.of(Piece("good", Ink.OK), Piece("bad", Ink.BAD))])


@pytest.mark.parametrize("name", BOOK.themes)
async def test_every_theme_can_be_worn(name: str) -> None:
    app = Shown(BOOK)
    async with app.run_test(size=(20, 2)) as pilot:
        app.theme = name
        await pilot.pause()
        assert palette_of(app).name == name
        strip = app.query_one(LinesView).render_lines(Region(0, 0, 20, 1))[0]
        assert strip.text.startswith("goodbad")
        good = next(segment.style for segment in strip if segment.text == "good")
        assert good is not None
        assert good.color == BOOK.get(name).palette.style(Ink.OK).color


@pytest.mark.parametrize("name", BOOK.themes)
async def test_under_no_color_all_is_there_and_nothing_is_coloured(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert declines_color()
    app = Shown(BOOK, ansi_color=True)
    app.theme = name
    async with app.run_test(size=(20, 2)):
        strip = app.query_one(LinesView).render_lines(Region(0, 0, 20, 1))[0]
        assert strip.text.strip() == "goodbad"
        for segment in strip:
            assert segment.style is not None
            named = {segment.style.color, segment.style.bgcolor} - {None}
            assert named <= {Color.default()}
