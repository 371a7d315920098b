"""The followed request: its prompt, dimmed, and the text that its client has received so far.
Below, where there is room, the requests that finished last."""

from ...engine.protocol import FinishedRequest, StreamView
from ..drawing.line import EMPTY, Line, Piece, centred, faint, line, muted, strong, wrapped
from ..state.moment import Moment
from ..style.formatting import count, milliseconds
from ..style.inks import Ink
from .panel import PanelView, Room, titled, value, waiting_line

PROMPT_SHARE = 3
"""The prompt takes at most one of this many rows, so that the text beneath stays where it is."""
TEXT_ROWS = 8
"""Rows that the text keeps before finished requests are listed below it."""
LEAST_LISTED = 2


def stream_view(moment: Moment, room: Room) -> PanelView:
    """The newest rows of the text; as much of the prompt above as there is room for."""
    frame = moment.frame
    stream = frame.stream if frame else None
    if stream is None:
        idle = centred(muted("no request to follow yet"), room.width)
        text = waiting_line(moment, room) if frame is None else idle
        return PanelView(titled("Stream", moment), lines=(text,))
    listed = _finished(moment.recent, room)
    upper = Room(room.width, room.height - len(listed), room.glyphs)
    text_lines = _text_lines(stream, upper)
    return PanelView(
        titled(f"Stream {room.glyphs.dot} request {stream.request_id}", moment),
        _figures(stream, room),
        (*text_lines, *[EMPTY] * (upper.height - len(text_lines)), *listed),
        moment.stale_s is not None,
    )


def _figures(stream: StreamView, room: Room) -> Line:
    tokens = f"{stream.generated_tokens}/{stream.max_tokens}"
    if stream.from_cache:
        return line(Piece("from cache ", Ink.ACCENT), strong(tokens), muted(" tokens"))
    if stream.held and not stream.finished:
        return line(muted("held "), strong(tokens), muted(" tokens"))
    done = Piece(f" {room.glyphs.check}", Ink.OK) if stream.finished else ""
    return line(strong(tokens), muted(" tokens"), done)


def _text_lines(stream: StreamView, room: Room) -> tuple[Line, ...]:
    prompt = wrapped(stream.prompt.strip(), room.width)
    if stream.held and not stream.text:
        waiting = line(
            Piece("held until complete: ", Ink.WARN),
            strong(f"{stream.generated_tokens}/{stream.max_tokens}"),
            muted(" tokens"),
        )
        above = _end_of(prompt, max(0, room.height - 2), room)
        gap = (EMPTY,) if above else ()
        return (*above, *gap, waiting)
    text = wrapped(stream.text.strip("\n"), room.width)
    above = _end_of(prompt, max(1, room.height // PROMPT_SHARE), room) if room.height > 1 else []
    below = [line(row) for row in text[-max(1, room.height - len(above)) :]]
    if not stream.finished:
        below[-1] = _with_cursor(below[-1], room)
    return (*above, *below)


def _end_of(rows: list[str], limit: int, room: Room) -> list[Line]:
    """The last rows of the prompt, which ask the question; an ellipsis stands for the others."""
    if len(rows) <= limit or not limit:
        end = rows[:limit]
    else:
        words = " ".join(rows[-limit:]).split(" ")
        while len(end := wrapped(" ".join([room.glyphs.ellipsis, *words]), room.width)) > limit:
            words.pop(0)
    return [line(Piece(row, Ink.FAINT)) for row in end]


def _with_cursor(content: Line, room: Room) -> Line:
    """A cursor after the newest character, where there is a cell left for it."""
    cursor = Piece(room.glyphs.gauge_full, Ink.ACCENT)
    return line(content, cursor) if content.width < room.width else content


def _finished(recent: tuple[FinishedRequest, ...], room: Room) -> tuple[Line, ...]:
    """A table of the requests that finished last, the newest first; empty without room for it."""
    rows = min(len(recent), room.height - TEXT_ROWS - 2)
    if rows < LEAST_LISTED:
        return ()
    names = ("finished", "prompt", "output", "TTFB", "E2E", "")
    widths = (9, 8, 8, 10, 10, 12)
    columns = sum(1 for index in range(len(widths)) if sum(widths[: index + 1]) <= room.width)
    head = line(*(muted(names[i].rjust(widths[i])) for i in range(columns)))
    table = [
        line(*(cell for cell, _ in zip(_row(request, widths), range(columns), strict=False)))
        for request in recent[: -rows - 1 : -1]
    ]
    return (EMPTY, head, *table)


def _row(request: FinishedRequest, widths: tuple[int, ...]) -> tuple[Piece, ...]:
    note = "from cache" if request.from_response_cache else request.finish_reason
    return (
        muted(count(request.request_id, width=widths[0])),
        value(count(request.prompt_tokens, width=widths[1])),
        value(count(request.output_tokens, width=widths[2])),
        value(milliseconds(request.ttfb_ms, width=widths[3])),
        value(milliseconds(request.e2e_ms, width=widths[4])),
        faint(note.rjust(widths[5])),
    )
