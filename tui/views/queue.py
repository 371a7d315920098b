"""The queue: who waits, Little's law, and the account of all requests."""

from ...engine.protocol import Accounting, Frame, Window
from ..drawing.line import Line, Piece, first_fitting, joined, line, muted, rule
from ..state.moment import Moment
from ..style.formatting import MISSING, count, milliseconds, si
from ..style.inks import Ink
from .panel import PanelView, Room, figure, titled, value, waiting_line


def queue_view(moment: Moment, room: Room) -> PanelView:
    """Lines in order of weight; the panel shows as many as it has rows for."""
    frame = moment.frame
    if frame is None:
        return PanelView(titled("Queue", moment), lines=(waiting_line(moment, room),))
    lines = (_now(frame, room), _flow(frame, room), _account(frame.accounting, room))
    return PanelView(
        titled("Queue", moment), _little(moment, frame, room), lines, moment.stale_s is not None
    )


def _little(moment: Moment, frame: Frame, room: Room) -> Line:
    queue = frame.queue
    latency = frame.latency.get(moment.window) or frame.latency.get(Window.S10)
    wait = latency.queue if latency else None
    law = line(
        figure("L", _one_decimal(queue.mean_in_system)),
        "  ",
        figure(
            "λW" if room.glyphs.unicode else "lW", _one_decimal(queue.arrival_rate_times_residence)
        ),
    )
    waiting = figure("wait p95", milliseconds(wait.p95_ms if wait else None))
    return line(law, "  ", waiting) if room.width >= 46 else law


def _one_decimal(number: float | None) -> str:
    return MISSING if number is None else f"{number:.1f}"


def _now(frame: Frame, room: Room) -> Line:
    queue = frame.queue
    waiting_ink = Ink.WARN if queue.waiting > queue.running else Ink.STRONG
    return room.facts(
        [
            line(value(count(queue.running, width=4), Ink.STRONG), muted(" running")),
            line(value(count(queue.waiting, width=3), waiting_ink), muted(" waiting")),
            line(muted("at most "), value(count(frame.max_seqs)), muted(" at once")),
        ]
    )


def _flow(frame: Frame, room: Room) -> Line:
    throughput = frame.throughput
    return room.facts(
        [
            line(value(si(throughput.arrivals_per_s, width=4)), muted("/s come")),
            line(value(si(throughput.requests_per_s, width=4)), muted("/s go")),
            line(value(count(frame.queue.preemptions)), muted(" preempted")),
        ]
    )


def _account(accounting: Accounting, room: Room) -> Line:
    """Submitted = finished + failed + in system: always, so it is shown as the sum that it is."""
    failed = Piece(
        f"{count(accounting.failed)} failed", Ink.BAD if accounting.failed else Ink.MUTED
    )
    parts = [
        line(muted(f"{count(accounting.finished)} finished")),
        line(failed),
        line(muted(f"{count(accounting.in_system)} in system")),
    ]
    whole = line(
        muted(f"{count(accounting.submitted)} submitted = "), joined(parts, line(muted(" + ")))
    )
    short = joined(parts[:2], line(rule(f" {room.glyphs.dot} ")))
    return first_fitting([whole, short], room.width)
