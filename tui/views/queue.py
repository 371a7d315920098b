"""The queue: who waits, Little's law, and the account of all requests."""

from collections.abc import Callable

from ...engine.protocol import Accounting, Frame, Window
from ..drawing.line import Line, Piece, first_fitting, joined, line, muted, rule
from ..state.moment import Moment
from ..style.formatting import MISSING, count, exact, rate, si
from ..style.inks import Ink
from ..style.quantiles import quantile_text
from .load import trace_lines
from .panel import PanelView, Room, figure, titled, value, waiting_line


def queue_view(moment: Moment, room: Room) -> PanelView:
    """Lines in order of weight; the panel shows as many as it has rows for."""
    frame = moment.frame
    if frame is None:
        return PanelView(titled("Queue", moment), lines=(waiting_line(moment, room),))
    done = frame.accounting
    lines = [
        _now(frame, room),
        *(_refused(done, room) if done else []),
        _flow(frame, room),
        *([_account(done, room)] if done else []),
        *trace_lines(frame, room),
    ]
    if done and done.rejected:
        lines.insert(1, _rejected(done.rejected, frame, room))
    return PanelView(
        titled("Queue", moment),
        _little(moment, frame, room),
        tuple(lines),
        moment.stale_s is not None,
    )


Written = Callable[[int], str]
"""How whole numbers are written: with all their digits, or shortened."""


def _in_full(build: Callable[[Written], Line], room: Room) -> Line:
    """A line with exact numbers where they fit, else with short ones; cut where these do not."""
    return first_fitting((build(exact), build(count)), room.width) or room.clipped(build(count))


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
        Piece(" unsteady", Ink.WARN) if queue.unsteady else "",
    )
    waiting = figure("wait p95", quantile_text(wait, wait.p95_ms if wait else None))
    return first_fitting([line(law, "  ", waiting), law], room.width) if room.width >= 46 else law


def _one_decimal(number: float | None) -> str:
    return MISSING if number is None else f"{number:.1f}"


def _now(frame: Frame, room: Room) -> Line:
    queue = frame.queue
    more_wait = (queue.waiting or 0) > (queue.running or 0)
    waiting_ink = Ink.WARN if more_wait else Ink.STRONG
    return room.facts(
        [
            line(value(f"{exact(queue.running):>4}", Ink.STRONG), muted(" running")),
            line(value(f"{exact(queue.waiting):>3}", waiting_ink), muted(" waiting")),
            *([] if frame.max_seqs is None else [_at_most(frame.max_seqs)]),
        ]
    )


def _at_most(number: int) -> Line:
    return line(muted("at most "), value(exact(number)), muted(" at once"))


def _rejected(rejected: int, frame: Frame, room: Room) -> Line:
    """Requests that found the queue full: they count here and nowhere else."""
    load = frame.load

    def built(written: Written) -> Line:
        return line(Piece(f"{written(rejected):>4}", Ink.BAD), muted(" rejected"))

    facts = [line(value(rate(frame.throughput.rejected_per_s)), muted(" now"))]
    if load is not None and load.is_open:
        facts.append(line(muted("the queue takes "), value(exact(load.max_waiting))))
    return room.facts([_in_full(built, room), *facts])


def _flow(frame: Frame, room: Room) -> Line:
    throughput = frame.throughput
    return room.facts(
        [
            line(value(si(throughput.arrivals_per_s, width=4)), muted("/s come")),
            line(value(si(throughput.requests_per_s, width=4)), muted("/s go")),
            line(value(exact(frame.queue.preemptions)), muted(" preempted")),
        ]
    )


def _refused(accounting: Accounting, room: Room) -> list[Line]:
    """Why requests were refused, the most frequent reason first; nothing where none was."""
    if not accounting.refused:
        return []
    number = sum(accounting.refused.values())
    reason = max(accounting.refused, key=accounting.refused.__getitem__)
    return [room.clipped(line(Piece(f"{count(number)} refused: {reason}", Ink.BAD)))]


def _account(accounting: Accounting, room: Room) -> Line:
    """Submitted = finished + failed + in system: always, so it is shown as the sum that it is
    where there is room."""

    def parts(written: Written) -> list[Line]:
        failed_ink = Ink.BAD if accounting.failed else Ink.MUTED
        return [
            line(muted(f"{written(accounting.finished)} finished")),
            line(Piece(f"{written(accounting.failed)} failed", failed_ink)),
            line(muted(f"{written(accounting.in_system)} in system")),
        ]

    def whole(written: Written) -> Line:
        submitted = muted(f"{written(accounting.submitted)} submitted = ")
        return line(submitted, joined(parts(written), line(muted(" + "))))

    def ends(written: Written, most: int) -> Line:
        return joined(parts(written)[:most], line(rule(f" {room.glyphs.dot} ")))

    candidates = (whole(exact), ends(exact, 3), ends(exact, 2), ends(count, 2))
    return first_fitting(candidates, room.width)
