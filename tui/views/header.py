"""The top line: what is served where, how much, and whether the screen is live."""

from ..drawing.line import (
    EMPTY,
    Line,
    Piece,
    ends,
    first_fitting,
    joined,
    line,
    muted,
    rule,
    strong,
)
from ..settings.keymap import LIVE, TAB_TITLES
from ..state.moment import Moment, Phase, restart_text
from ..style.formatting import count, duration, rate
from ..style.inks import Ink
from .panel import Room, starting_text

TABS_FROM = 110
"""From this width on the Live tab names the tabs in its header; below, its footer has the keys."""


def header_line(moment: Moment, room: Room) -> Line:
    """One line of `room.width`: name and settings left, figures in the middle, state right."""
    state = state_line(moment, room)
    name = Piece("prodtop", Ink.ACCENT)
    serving = _serving(moment)
    lefts = [line(" ", name, "  ", serving), line(" ", name)]
    if room.width >= TABS_FROM:
        lefts.insert(0, line(" ", name, "  ", tabs_line(LIVE), "  ", serving))
    left = first_fitting(lefts, room.width - state.width - 2)
    space = room.width - left.width - state.width
    middle = first_fitting(_figures(moment, room), space - 4)
    if middle:
        gap = (space - middle.width) // 2
        left = line(left, " " * gap, middle)
    return ends(left, line(state, " "), room.width)


def tabs_line(current: str) -> Line:
    """The tabs; brackets say which is in view, without any colour."""
    return line(
        *(
            (
                Piece(f"[{title}]", Ink.SELECTED) if name == current else muted(f" {title} ")
            )._replace(click=f"app.tab('{name}')")
            for name, title in TAB_TITLES.items()
        )
    )


def _serving(moment: Moment) -> Line:
    frame = moment.frame
    if frame is None:
        return EMPTY
    return line(
        strong(frame.model.name),
        "  ",
        Piece(frame.precision, Ink.TEXT),
        "  ",
        Piece(frame.strategy, Ink.TEXT),
    )


def _figures(moment: Moment, room: Room) -> list[Line]:
    """What goes into the middle, from the fullest to the barest."""
    frame = moment.frame
    if frame is None or moment.stale_s is not None:
        return []
    requests = line(Line.of(rate(frame.throughput.requests_per_s, "req")))
    running = line(Line.of(count(frame.queue.running)), muted(" running"))
    waiting = line(Line.of(count(frame.queue.waiting)), muted(" waiting"))
    separator = line(rule(f" {room.glyphs.dot} "))
    facts = [line(muted(frame.device_name)), requests, running, waiting]
    return [joined(facts[skip:], separator) for skip in range(3)] + [running]


def state_line(moment: Moment, room: Room) -> Line:
    """Whether the screen is live, paused, or without an engine."""
    glyphs = room.glyphs
    frame, worker = moment.frame, moment.worker
    if moment.behind_s is not None:
        text = f"{glyphs.paused} PAUSED {glyphs.minus}{duration(moment.behind_s)}"
        return line(Piece(text, Ink.WARN))
    if worker.phase is Phase.DEAD:
        return line(Piece(f"{glyphs.cross} {_short_death(moment)}", Ink.BAD))
    if worker.phase is Phase.STARTING:
        limit = max(20, room.width - 14)
        return line(Piece(f"{glyphs.bullet} {starting_text(moment)}"[:limit], Ink.WARN))
    if frame is None:
        return line(Piece(f"{glyphs.bullet} ready", Ink.WARN))
    if moment.stale_s is not None:
        return line(Piece(f"{glyphs.cross} STALE {moment.stale_s:.0f} s", Ink.BAD))
    return line(
        Piece(f"{glyphs.recording} ", Ink.OK), muted("LIVE "), strong(duration(frame.uptime_s))
    )


def _short_death(moment: Moment) -> str:
    worker = moment.worker
    if worker.restart_at_s is None:
        return "ENGINE ENDED"
    return f"ENGINE DOWN, {restart_text(worker.restart_at_s - moment.now_s)}"
