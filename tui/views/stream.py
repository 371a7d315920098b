"""The followed request: its prompt, dimmed, and the text that its client has received so far."""

from rich.cells import cell_len

from ...engine.protocol import StreamView
from ..look import Ink
from ..moment import Moment
from .line import EMPTY, Line, Piece, centred, line, muted, strong, wrapped
from .panel import PanelView, Room, starting_text, titled

PROMPT_SHARE = 3
"""The prompt takes at most one of this many rows while there is text to show."""


def stream_view(moment: Moment, room: Room) -> PanelView:
    """The newest rows of the text; as much of the prompt above as there is room for."""
    frame = moment.frame
    stream = frame.stream if frame else None
    if stream is None:
        text = starting_text(moment) if frame is None else "no request to follow yet"
        return PanelView(titled("Stream", moment), lines=(centred(muted(text), room.width),))
    name = f"Stream {room.glyphs.dot} request {stream.request_id}"
    return PanelView(
        titled(name, moment),
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
    prompt = wrapped(stream.prompt.strip(), room.width)
    if stream.held and not stream.text:
        waiting = line(
            Piece("held until complete: ", Ink.WARN),
            strong(f"{stream.generated_tokens}/{stream.max_tokens}"),
            muted(" tokens"),
        )
        kept = _first(prompt, max(1, room.height - 2), room)
        return (*kept, EMPTY, waiting) if room.height > 2 + len(kept) - 1 else (*kept[:-1], waiting)
    text = wrapped(stream.text.strip("\n"), room.width)
    rows_of_prompt = max(1, room.height // PROMPT_SHARE, room.height - len(text) - 1)
    above = _first(prompt, rows_of_prompt, room) if room.height > 2 else []
    left = max(1, room.height - len(above))
    below = [line(row) for row in text[-left:]]
    if not stream.finished and below:
        below[-1] = _with_cursor(below[-1], room)
    return (*above, *below)


def _first(rows: list[str], limit: int, room: Room) -> list[Line]:
    """The first rows of the prompt; where some are left out the last one says so."""
    kept = rows[:limit]
    if len(rows) > limit:
        last = kept[-1].rstrip()
        while cell_len(last) > room.width - 1:
            last = last[:-1]
        kept[-1] = last + room.glyphs.ellipsis
    return [line(Piece(row, Ink.FAINT)) for row in kept]


def _with_cursor(content: Line, room: Room) -> Line:
    """A cursor after the newest character, where there is a cell left for it."""
    cursor = Piece(room.glyphs.gauge_full, Ink.ACCENT)
    return line(content, cursor) if content.width < room.width else content
