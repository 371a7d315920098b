"""The event line, the event log, and the strip with the last switch's effect."""

from ...engine.metrics.wording import effect_words, fitted
from ..drawing.line import EMPTY, Line, Piece, clipped, ends, in_glyphs, joined, line, muted
from ..drawing.meter import gauge
from ..state.moment import LogLine, Moment, Phase, requests_failed, retry_text
from ..state.quality_run import VOID
from ..style.formatting import percent, span
from ..style.inks import Ink
from .panel import Room, starting_text

SHORTEST_BAR, LONGEST_BAR = 8, 40

VERDICT_INKS: dict[bool | None, Ink] = {True: Ink.OK, False: Ink.BAD}
"""Of what is better, and of what is worse."""

INKS = {
    "info": Ink.MUTED,
    "switch": Ink.MARK,
    "sweep": Ink.MARK,
    "note": Ink.ACCENT,
    "alert": Ink.WARN,
    "spike": Ink.WARN,
    "restart": Ink.OK,
    "fault": Ink.BAD,
}
"""By kind of event; others are as `info`."""


def event_line(moment: Moment, room: Room) -> Line:
    """The newest event with its age; what the engine's process lacks comes first, but for the
    answer to a key that was just pressed."""
    worker = moment.worker
    lacking = worker.phase is not Phase.SERVING and bool(worker.reason) and not moment.paused
    if lacking and moment.answer is None:
        return room.clipped(line(" ", Piece(death_text(moment), Ink.BAD)))
    if moment.quality.running and not moment.paused and moment.answer is None:
        return _measuring(moment, room)
    if not moment.log and moment.answer is None:
        return (
            _starting(moment, room) if moment.frame is None else line(" ", muted("no events yet"))
        )
    newest, now_s = _newest(moment)
    age = f"{age_text(now_s - newest.wall_s)} "
    text = clipped(
        line(" ", Piece(in_glyphs(newest.text, room.glyphs), INKS.get(newest.kind, Ink.MUTED))),
        room.width - len(age) - 1,
        room.glyphs,
    )
    return ends(text, line(Piece(age, Ink.FAINT)), room.width)


def _newest(moment: Moment) -> tuple[LogLine, float]:
    """The line to show and the time to count its age from: the answer to a key for a moment, which
    only what happens to the engine takes the place of, and nothing on a picture of the past."""
    answer = moment.answer
    if answer is not None and (moment.paused or not moment.log or moment.log[-1].kind == "info"):
        return answer, moment.wall_s + (moment.behind_s or 0.0)
    return moment.log[-1], moment.wall_s


def _measuring(moment: Moment, room: Room) -> Line:
    """That the figures are not those of serving alone, and how far it is."""
    quality = moment.quality
    doing = f"quality {percent(quality.fraction)}" if quality.fraction is not None else "quality"
    return room.clipped(line(" ", Piece(VOID, Ink.WARN), muted(f"  {doing}: {quality.doing}")))


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
    who = "server" if worker.watched else "worker"
    return f"{who} {worker.reason}{failed}, {retry_text(worker, moment.now_s)}"


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
    words = effect_words(frame.last_switch)
    mark = Piece(f" {room.glyphs.mark} ", VERDICT_INKS.get(words.better, Ink.MARK))
    shown = fitted(words, room.width - 4, ascii_only=not room.glyphs.unicode)
    parts = [Piece(part.text, VERDICT_INKS.get(part.better, Ink.STRONG)) for part in shown.parts]
    return room.clipped(
        line(mark, shown.head, muted(": "), joined([line(part) for part in parts], line(", ")))
    )
