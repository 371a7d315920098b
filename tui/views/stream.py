"""The followed request: its prompt, dimmed, and the text that its client has received so far.

Of a server that is attached there is no text, ever: its panel says what the server tells.
"""

from ...engine.protocol import StreamView
from ..drawing.line import EMPTY, Line, Piece, centred, line, muted, strong, wrapped
from ..state.moment import Moment
from ..style.inks import Ink
from .attached import attached_view
from .panel import PanelView, Room, titled, waiting_line

PROMPT_SHARE = 3
"""The prompt takes at most one of this many rows, so that the text beneath stays where it is."""


def stream_view(moment: Moment, room: Room) -> PanelView:
    """The newest rows of the text; as much of the prompt above as there is room for."""
    frame = moment.frame
    stream = frame.stream if frame else None
    if frame is not None and frame.attached is not None:
        return attached_view(moment, frame.attached, room)
    if stream is None:
        idle = centred(muted("no request to follow yet"), room.width)
        text = waiting_line(moment, room) if frame is None else idle
        return PanelView(titled("Stream", moment), lines=(text,))
    return PanelView(
        titled(f"Stream {room.glyphs.dot} request {stream.request_id}", moment),
        _figures(stream, room),
        _text_lines(stream, room),
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
    if stream.served:
        instead = f"request {stream.request_id} of the server: its text is not shown"
        return tuple(line(muted(row)) for row in wrapped(instead, room.width))
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
