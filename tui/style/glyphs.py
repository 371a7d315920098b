"""The characters that widgets draw with: one record for Unicode terminals, one for plain ASCII."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BoxGlyphs:
    """The corners and edges of a panel's frame."""

    top_left: str
    top_right: str
    bottom_left: str
    bottom_right: str
    horizontal: str
    vertical: str


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Every character that is not a letter or a digit, by what it is for.

    Each is one cell wide. Widgets never write such a character themselves, so that one switch
    makes the whole screen plain ASCII.
    """

    unicode: bool
    box: BoxGlyphs
    bullet: str
    dot: str
    """The middle dot that separates facts in a line."""
    ellipsis: str
    arrow_right: str
    arrow_up: str
    arrow_down: str
    pointer: str
    """Stands before the chosen row."""
    opened: str
    closed: str
    """Stand before a row that shows its parts, and one that hides them."""
    knob_left: str
    knob_right: str
    """Stand around a value that ← and → change."""
    mark: str
    """Points down at the column of a mark."""
    mark_line: str
    threshold_line: str
    cursor_line: str
    axis: str
    tick: str
    times: str
    plus_minus: str
    minus: str
    check: str
    cross: str
    recording: str
    paused: str
    gauge_full: str
    gauge_partial: str
    """Fractions of a full gauge cell, smallest first; empty where cells are all or nothing."""
    gauge_empty: str
    patterns: str
    """Fillings of stacked bars, told apart without colour, in the order of the parts."""
    pattern_empty: str
    shades: str
    """Densities of a heat map, the thinnest first."""
    steps: str
    """Heights of a bar within one cell, the lowest first; the last one fills the cell."""
    load_full: str
    load_empty: str
    markers: str
    """Signs at the data points of curves, told apart without colour; empty where lines are."""
    legend_line: str
    legend_dashed: str
    legend_dotted: str
    legend_area: str


UNICODE = Glyphs(
    unicode=True,
    box=BoxGlyphs("╭", "╮", "╰", "╯", "─", "│"),
    bullet="•",
    dot="·",
    ellipsis="…",
    arrow_right="→",
    arrow_up="↑",
    arrow_down="↓",
    pointer="▸",
    opened="▾",
    closed="▸",
    knob_left="‹",
    knob_right="›",
    mark="▾",
    mark_line="┊",
    threshold_line="╌",
    cursor_line="│",
    axis="│",
    tick="┤",
    times="×",
    plus_minus="±",
    minus="−",
    check="✓",
    cross="✗",
    recording="●",
    paused="‖",
    gauge_full="━",
    gauge_partial="╸",
    gauge_empty="─",
    patterns="▓▒░▞▚▝▗",
    pattern_empty="·",
    shades="·░▒▓█",
    steps="▁▂▃▄▅▆▇█",
    load_full="▮",
    load_empty="▯",
    markers="●◆▲■○◇",
    legend_line="━",
    legend_dashed="╍",
    legend_dotted="┅",
    legend_area="▄",
)

ASCII = Glyphs(
    unicode=False,
    box=BoxGlyphs("+", "+", "+", "+", "-", "|"),
    bullet="*",
    dot="|",
    ellipsis="~",
    arrow_right=">",
    arrow_up="^",
    arrow_down="v",
    pointer=">",
    opened="-",
    closed="+",
    knob_left="<",
    knob_right=">",
    mark=":",
    mark_line=":",
    threshold_line="-",
    cursor_line="|",
    axis="|",
    tick="+",
    times="x",
    plus_minus="~",
    minus="-",
    check="y",
    cross="x",
    recording="*",
    paused="=",
    gauge_full="#",
    gauge_partial="",
    gauge_empty=".",
    patterns="#=+%o:*",
    pattern_empty=".",
    shades=".:+%#",
    steps="_.:-=+*#",
    load_full="#",
    load_empty=".",
    markers="",
    legend_line="-",
    legend_dashed="=",
    legend_dotted=":",
    legend_area="|",
)

GLYPH_SETS: dict[str, Glyphs] = {"unicode": UNICODE, "ascii": ASCII}
