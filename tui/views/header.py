"""The top line: what is served where, how much, and how the engine does."""

from collections.abc import Mapping, Sequence

from ...engine.protocol import serving_words
from ..drawing.line import (
    EMPTY,
    Line,
    Piece,
    clipped,
    first_fitting,
    in_glyphs,
    joined,
    line,
    muted,
    rule,
    strong,
)
from ..settings.keymap import FLEET_TITLE, LIVE, TAB_TITLES
from ..state.condition import WORD_CELLS, Health, Word
from ..state.moment import MarkKind, Moment, SessionMark
from ..style.formatting import clip_middle, count, duration, rate
from ..style.glyphs import Glyphs
from ..style.inks import Ink
from .panel import Room

TABS_FROM = 110
"""From this width on the Live tab names the tabs in its header; below, its footer has the keys."""

LEAST_TABS_CELLS, TABS_SHARE = 46, 0.35
"""The tabs may have so many cells, or so much of the screen."""
SHORT_TITLE = 4
"""Characters of a tab's name where there is no room for all."""

HEALTH_CELLS = 44
MOST_HEALTH_CELLS = 64
"""The health line has at least so many, at most so many, and all that a narrow screen has."""

SERVING_CELLS = 34
LEAST_NAME = 8
"""Fewer characters of a model's name say nothing."""

MARK_BESIDE_NAME_FROM = 150
MARK_INKS = {
    MarkKind.RECORDING: Ink.BAD,
    MarkKind.PLAYING: Ink.ACCENT,
    MarkKind.HALTED: Ink.WARN,
    MarkKind.KEPT: Ink.WARN,
}

_GAP = 2


def header_line(moment: Moment, room: Room) -> Line:
    """One line of `room.width`: name and settings left, figures in the middle, health right.

    Each has its place by the width alone: what it says moves nothing.
    """
    name = name_line(moment, room)
    if room.width >= TABS_FROM:
        name = line(name, "  ", tabs_line(LIVE, room.width, fleet=moment.fleet is not None))
    cells = health_cells(room.width, name.width)
    free = room.width - name.width - cells - 2 * _GAP
    serving = _serving(moment, min(free, SERVING_CELLS), room)
    figures = _figures(moment, free - SERVING_CELLS - _GAP, room)
    left = line(name.fitted(name.width + _GAP), serving)
    left = left.fitted(room.width - cells - _GAP - figures.width)
    return line(left, figures, " " * _GAP, health_line(moment, cells, room))


def name_line(moment: Moment, room: Room) -> Line:
    """The program's name; that the session is recorded or replayed beside it, or in its place."""
    name = line(" ", Piece("prodtop", Ink.ACCENT))
    if moment.mark is None:
        return name
    mark = line(" ", Piece(mark_text(moment.mark, room.glyphs), MARK_INKS[moment.mark.kind]))
    return line(name, " ", mark) if room.width >= MARK_BESIDE_NAME_FROM else mark


def mark_text(mark: SessionMark, glyphs: Glyphs) -> str:
    """`● REC 00:12:31`, of a replay `▶ ×10 00:12:31`, of a snapshot `‖ KEPT 00:12:31`."""
    if mark.kind is MarkKind.RECORDING:
        return f"{glyphs.recording} REC {duration(mark.time_s)}"
    if mark.kind is MarkKind.KEPT:
        return f"{glyphs.paused} KEPT {duration(mark.time_s)}"
    light = glyphs.paused if mark.kind is MarkKind.HALTED else glyphs.pointer
    speed = "" if mark.speed is None else f"{glyphs.times}{mark.speed:g} "
    return f"{light} {speed}{duration(mark.time_s)}"


def tabs_line(current: str, width: int, *, fleet: bool = False) -> Line:
    """The tabs, in `width` cells of screen; brackets say which is in view, without any colour.

    Where their names would take what the rest of the line needs, those of the others are cut.
    """
    whole = FLEET_TITLE | TAB_TITLES if fleet else TAB_TITLES
    others_cut = {
        name: title if name == current else _short(title) for name, title in whole.items()
    }
    all_cut = {name: _short(title) for name, title in whole.items()}
    return first_fitting(
        [_tabs(current, titles) for titles in (whole, others_cut, all_cut)],
        max(LEAST_TABS_CELLS, int(width * TABS_SHARE)),
    )


def _short(title: str) -> str:
    """A title that is too long by one is not cut for that."""
    return title if len(title) <= SHORT_TITLE + 1 else title[:SHORT_TITLE]


def _tabs(current: str, titles: Mapping[str, str]) -> Line:
    return line(
        *(
            (
                Piece(f"[{title}]", Ink.SELECTED) if name == current else muted(f" {title} ")
            )._replace(click=f"app.tab('{name}')")
            for name, title in titles.items()
        )
    )


def _serving(moment: Moment, cells: int, room: Room) -> Line:
    """Model, precision and strategy; a long model name is cut in its middle."""
    frame = moment.frame
    if frame is None:
        return EMPTY
    settings = line(*(f"  {word}" for word in serving_words(frame)))
    model = clip_middle(frame.model.name, cells - settings.width, room.glyphs.ellipsis)
    least = len(frame.model.name) if len(frame.model.name) < LEAST_NAME else LEAST_NAME
    if cells - settings.width >= least:
        return line(strong(model), settings)
    alone = clip_middle(frame.model.name, cells, room.glyphs.ellipsis)
    return line(strong(alone)) if cells >= least else EMPTY


def _figures(moment: Moment, cells: int, room: Room) -> Line:
    """What goes into the middle, from the fullest to the barest; each figure of one width."""
    frame = moment.frame
    if frame is None or moment.stale_s is not None:
        return EMPTY
    averages = moment.averages
    requests = rate(averages.requests_per_s if averages else None, "req", width=10)
    facts = [
        line(muted(frame.device_name)),
        line(Line.of(requests), muted(f" {moment.window}")),
        line(Line.of(count(frame.queue.running, width=3)), muted(" running")),
    ]
    separator = line(rule(f" {room.glyphs.dot} "))
    return first_fitting([joined(facts[skip:], separator) for skip in range(3)], cells)


def health_cells(width: int, beside: int) -> int:
    """How wide the health line is on a screen of some width, where `beside` cells are taken."""
    free = width - beside - _GAP
    if free < HEALTH_CELLS + LEAST_NAME:
        return max(0, free)
    return min(max(HEALTH_CELLS, width * 9 // 20), MOST_HEALTH_CELLS, free)


def health_line(moment: Moment, cells: int, room: Room) -> Line:
    """`● OVERLOADED   2,145 waiting, +48/s, TTFT ≥ 37 s`: as many facts as fit, in `cells`."""
    health, glyphs = moment.health, room.glyphs
    light = glyphs.paused if health.word is Word.PAUSED else glyphs.recording
    word = Piece(f"{light} {health.word.ljust(WORD_CELLS)}", health.ink)
    facts = [in_glyphs(fact, glyphs) for fact in health.reason]
    said = [line(word, "  ", _facts(facts[:shown], health)) for shown in range(len(facts), 0, -1)]
    whole = next((each for each in said if each.width < cells), None)
    least = line(word, "  ", _facts(facts[:1], health))
    return (whole or clipped(least, cells - 1, glyphs)).fitted(cells)


def _facts(facts: Sequence[str], health: Health) -> Line:
    """The first fact in the colour of the condition where something is wrong."""
    wrong = health.ink in (Ink.WARN, Ink.BAD)
    first = line(*(Piece(fact, health.ink if wrong else Ink.TEXT) for fact in facts[:1]))
    return line(first, *(muted(f", {fact}") for fact in facts[1:]))
