"""What binds the engine now, with its figure and what would relieve it, in the room there is."""

from ...engine.metrics.relief import relief, shortened
from ...engine.protocol import Bound, Frame, Verdict
from ..drawing.line import EMPTY, Line, faint, first_fitting, line, muted
from ..style.formatting import count, percent
from .panel import Room, value


def limit_line(frame: Frame | None, label: Line, room: Room) -> Line:
    """`limit  sequence cap: 32 of 32 run, 2145 wait · raise --max-seqs: 12 % of KV used`.

    Empty before it is known. Where it is narrow the relief is left out, then words.
    """
    verdict = frame.roofline.verdict if frame else None
    if frame is None or verdict is None:
        return EMPTY
    wide, narrow = (line(label, value(text)) for text in figure_texts(frame, verdict))
    advice, dot = relief(frame), faint(f" {room.glyphs.dot} ")
    fitting = (
        *(
            line(figure, dot, muted(text))
            for text in (advice, shortened(advice))
            for figure in (wide, narrow)
        ),
        wide,
        narrow,
    )
    return room.clipped(first_fitting(fitting, room.width) or narrow)


def figure_texts(frame: Frame, verdict: Verdict) -> tuple[str, str]:
    """The bound with its figure, for a wide panel and for a narrow one."""
    share, bound, queue = percent(verdict.share), verdict.bound, frame.queue
    match bound:
        case Bound.NO_WORK:
            return f"{bound} {share} of the time", f"{bound} {share}"
        case Bound.SEQUENCE_CAP:
            limit = frame.max_seqs if queue.running_limit is None else queue.running_limit
            who = f"{count(queue.running)} of {count(limit)} run"
            return (
                f"{bound}: {who}, {count(queue.waiting)} wait",
                f"{bound}: {who}",
            )
        case Bound.TOKEN_BUDGET:
            return f"{bound}: full in {share} of steps", f"{bound}: {share} of steps"
        case Bound.KV_MEMORY:
            return f"{bound}: {share} of blocks held", f"{bound}: {share}"
        case Bound.COMPUTE:
            return f"{bound}: at {share} of a matmul's", f"{bound}: {share} of a matmul's"
        case Bound.BANDWIDTH:
            return f"{bound}: at {share} of a copy's", f"{bound}: {share} of a copy's"
        case Bound.HOST:
            what = "work between steps takes" if frame.device == "cpu" else "the device waits"
            return f"{bound}: {what} {share} of the time", f"{bound}: {share} of the time"
        case Bound.SMALL_OPERATIONS:
            return f"{bound}: {share} below both ceilings", f"small ops: {share} unused"
        case Bound.COMPILING:
            return f"{bound} {share} of the time", f"{bound} {share}"
