"""The event line, the event log, and the strip with the last switch's effect."""

import time

from ...engine.metrics.wording import describe_effect
from ..drawing.line import EMPTY, Line, Piece, clipped, ends, in_glyphs, line, muted, strong
from ..drawing.meter import gauge
from ..state.moment import LogLine, Moment, Phase, requests_failed, restart_text
from ..state.quality_run import VOID
from ..style.formatting import percent, span
from ..style.glyphs import Glyphs
from ..style.inks import Ink
from .panel import Room, starting_text

SHORTEST_BAR, LONGEST_BAR = 8, 40

INKS = {"info": Ink.MUTED, "switch": Ink.MARK, "fault": Ink.BAD}


ANSWER_S = 5.0
"""How long the answer to a key stays in the place of what the engine's process lacks."""


def event_line(moment: Moment, room: Room) -> Line:
    """The newest event with its age; what the engine's process lacks comes first, but for the
    answer to a key that was just pressed."""
    worker = moment.worker
    lacking = worker.phase is not Phase.SERVING and bool(worker.reason) and not moment.paused
    if lacking and not _answers(moment):
        return room.clipped(line(" ", Piece(death_text(moment), Ink.BAD)))
    if moment.quality.running and not (moment.paused or _answers(moment)):
        return _measuring(moment, room)
    if not moment.log:
        return (
            _starting(moment, room) if moment.frame is None else line(" ", muted("no events yet"))
        )
    newest = moment.log[-1]
    age = f"{age_text(moment.wall_s - newest.wall_s)} "
    text = clipped(
        line(" ", Piece(in_glyphs(newest.text, room.glyphs), INKS[newest.kind])),
        room.width - len(age) - 1,
        room.glyphs,
    )
    return ends(text, line(Piece(age, Ink.FAINT)), room.width)


def _measuring(moment: Moment, room: Room) -> Line:
    """That the figures are not those of serving alone, and how far it is."""
    quality = moment.quality
    doing = f"quality {percent(quality.fraction)}" if quality.fraction is not None else "quality"
    return room.clipped(line(" ", Piece(VOID, Ink.WARN), muted(f"  {doing}: {quality.doing}")))


def _answers(moment: Moment) -> bool:
    """Whether the newest event is what a key has just led to."""
    newest = moment.log[-1] if moment.log else None
    return newest is not None and newest.answer and moment.wall_s - newest.wall_s < ANSWER_S


def _starting(moment: Moment, room: Room) -> Line:
    """What the engine does before it serves, with a bar as far as that can be known."""
    text = line(" ", muted(starting_text(moment)))
    fraction = moment.worker.fraction
    width = min(room.width - text.width - 3, LONGEST_BAR)
    if moment.worker.phase is not Phase.STARTING or fraction is None or width < SHORTEST_BAR:
        return room.clipped(text)
    return line(text, "  ", gauge(fraction, width, room.glyphs))


def age_text(age_s: float) -> str:
    """`40s ago`, in steps that grow with the age, so that a quiet screen stays quiet."""
    if age_s < 1:
        return "just now"
    step = 1 if age_s < 10 else 10 if age_s < 60 else 60
    return f"{span(age_s // step * step)} ago"


def death_text(moment: Moment) -> str:
    """`worker killed (signal 9): 12 requests failed, restarting in 1 s`."""
    worker = moment.worker
    failed = f": {requests_failed(worker.failed_requests)}" if worker.failed_requests else ""
    if worker.phase is Phase.STARTING:
        return f"worker {worker.reason}{failed}, starting again"
    if worker.restart_at_s is None:
        hint = f"; {worker.hint}" if worker.hint else ""
        return f"worker {worker.reason}{failed}{hint}"
    return f"worker {worker.reason}{failed}, {restart_text(worker.restart_at_s - moment.now_s)}"


def log_rows(log: tuple[LogLine, ...], glyphs: Glyphs) -> list[Line]:
    """The whole log, newest first, with the local time of day."""
    return [
        line(
            Piece(
                time.strftime("%H:%M:%S  ", time.localtime(entry.wall_s + entry.clock_shift_s)),
                Ink.FAINT,
            ),
            Piece(
                in_glyphs(entry.text, glyphs),
                Ink.TEXT if entry.kind == "info" else INKS[entry.kind],
            ),
        )
        for entry in reversed(log)
    ]


def effect_line(moment: Moment, room: Room) -> Line:
    """The strip: a switch under way, or what the last one did; empty before the first."""
    frame = moment.frame
    if frame is None:
        return EMPTY
    if frame.switching is not None:
        bullet = Piece(f" {room.glyphs.bullet} ", Ink.MARK)
        return room.clipped(line(bullet, in_glyphs(frame.switching, room.glyphs)))
    if frame.last_switch is None:
        return EMPTY
    mark = Piece(f" {room.glyphs.mark} ", Ink.MARK)
    wording = describe_effect(
        frame.last_switch, width=room.width - 4, ascii_only=not room.glyphs.unicode
    )
    head, colon, rest = wording.partition(":")
    return room.clipped(line(mark, head, muted(colon), strong(rest)))
