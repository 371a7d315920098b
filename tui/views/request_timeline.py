"""One request's timeline: why it was slow, where its time went, and when its tokens came."""

from collections.abc import Sequence
from dataclasses import dataclass

from ...engine.protocol import (
    IntervalKind,
    Latency,
    RequestTimeline,
    TimelineInterval,
)
from ...engine.protocol.wording import plural
from ..drawing.line import EMPTY, Line, Piece, line, muted, runs, strong, wrapped
from ..drawing.meter import Part, bars, stacked_legend
from ..state.moment import Moment
from ..state.requests import WORKER_DIED, RequestRow
from ..style.formatting import count, milliseconds
from ..style.inks import PART_INKS, SERIES_INKS, Ink
from .panel import Room, value
from .slowness import reasons

KINDS = (
    IntervalKind.ARRIVING,
    IntervalKind.QUEUED,
    IntervalKind.PREFILL,
    IntervalKind.DECODE,
    IntervalKind.PREEMPTED,
    IntervalKind.FIRST_TOKEN,
    IntervalKind.CACHED,
)
STYLES = {
    IntervalKind.ARRIVING: 4,
    IntervalKind.QUEUED: 3,
    IntervalKind.PREFILL: 2,
    IntervalKind.DECODE: 0,
    IntervalKind.PREEMPTED: 1,
    IntervalKind.FIRST_TOKEN: 3,
    IntervalKind.CACHED: 0,
}
"""The place of each kind among the patterns and part colours."""

_KIND_CELLS, _TIME_CELLS, _TOKENS_CELLS = 10, 9, 12
_LEAST_BAR = 10
ROWS_WITH_GAPS = 20
"""In less room nothing is parted by blank lines."""
MOST_BAR_ROWS = 8
"""How high the bar of tokens is where nothing else needs the rows."""


@dataclass(frozen=True, slots=True)
class TimelineView:
    """The lines that stay, and the intervals below them, which scroll."""

    head: tuple[Line, ...]
    rows: tuple[Line, ...]


def timeline_view(moment: Moment, row: RequestRow | None, room: Room) -> TimelineView:
    """The inspected request. `row` is what the table knows of it, if it still does."""
    told = moment.requests.timeline
    if told is None:
        return TimelineView((line(muted("asking the engine for this request")),), ())
    if told.state is None:
        return TimelineView((line(muted(_unknown(row))),), ())
    frame = moment.frame
    latency = frame.latency.get(moment.window, Latency()) if frame else Latency()
    gap = [EMPTY] if room.height >= ROWS_WITH_GAPS else []
    head = [
        _facts(told, room),
        *gap,
        *_why(told, latency, moment, room),
        *gap,
        line(strong("where its time went")),
        _phases(told, room),
        *_legend(told, room),
        *gap,
    ]
    spare = room.height - len(head) - len(told.intervals) - 3
    head += [*_tokens(told, room, min(max(1, spare), MOST_BAR_ROWS)), *gap]
    rows = (_interval(each, told, room) for each in told.intervals)
    return TimelineView(tuple(map(room.clipped, head)), tuple(map(room.clipped, rows)))


def _unknown(row: RequestRow | None) -> str:
    """Why there is no timeline."""
    if row is not None and row.reason == WORKER_DIED:
        return "no timeline: the worker died, and took it along"
    return "no timeline: the engine keeps those of the last requests only"


def _facts(told: RequestTimeline, room: Room) -> Line:
    state = told.state.value if told.state else ""
    cached = f", {count(told.cached_prompt_tokens)} cached" if told.cached_prompt_tokens else ""
    parts = [
        line(strong(state), muted(f" {told.finish_reason}" if told.finish_reason else "")),
        line(muted("E2E "), value(_ms(told.e2e_us), Ink.STRONG)),
        line(muted("TTFT "), value(_ms(told.first_token_us))),
        line(
            value(count(told.output_tokens)),
            muted(f" {_asked(told.max_tokens)} out"),
        ),
        line(value(count(told.prompt_tokens)), muted(f" tokens in{cached}")),
    ]
    return room.facts(parts)


def _asked(most: int | None) -> str:
    """`of 64 tokens`; where the request did not say, `tokens`."""
    return "tokens" if most is None else f"of {count(most)} {plural(most, 'token')}"


def _why(told: RequestTimeline, latency: Latency, moment: Moment, room: Room) -> list[Line]:
    """The reasons, wrapped; the window that the medians are of is named."""
    lines: list[Line] = []
    for reason in reasons(told, latency):
        rows = wrapped(reason, room.width - 2)
        lines += [line(Piece(f"{room.glyphs.bullet} ", Ink.ACCENT), strong(rows[0]))]
        lines += [line("  ", strong(row)) for row in rows[1:]]
    return [*lines, line("  ", muted(f"medians of the window: {moment.window}"))]


def _phases(told: RequestTimeline, room: Room) -> Line:
    """The whole life as one bar to scale: each cell has the kind that takes most of it."""
    whole_us, width, glyphs = told.e2e_us, room.width, room.glyphs
    pieces: list[Piece] = []
    place = 0
    for cell in range(width):
        begin, end = whole_us * cell / width, whole_us * (cell + 1) / width
        shares: dict[IntervalKind, float] = {}
        while place < len(told.intervals):
            each = told.intervals[place]
            shared = min(end, each.end_us) - max(begin, each.start_us)
            shares[each.kind] = shares.get(each.kind, 0.0) + max(0.0, shared)
            if each.end_us >= end:
                break
            place += 1
        if shares and max(shares.values()) > 0:
            style = STYLES[max(shares, key=shares.__getitem__)]
            pieces.append(Piece(glyphs.patterns[style], PART_INKS[style]))
        else:
            pieces.append(Piece(glyphs.pattern_empty, Ink.FAINT))
    return runs(pieces)


def _legend(told: RequestTimeline, room: Room) -> list[Line]:
    """Each kind with the sum of its time: together they are the E2E. As many lines as it takes."""
    lines: list[Line] = []
    for kind in KINDS:
        if not told.length_us(kind):
            continue
        part = Part(kind.value, 0, STYLES[kind])
        entry = stacked_legend([part], [_ms(told.length_us(kind))], room.glyphs)
        if lines and lines[-1].width + 2 + entry.width <= room.width:
            lines[-1] = line(lines[-1], "  ", entry)
        else:
            lines.append(entry)
    return lines


def _tokens(told: RequestTimeline, room: Room, rows: int) -> list[Line]:
    """Tokens over the same time, as a bar of its own."""
    if not told.token_counts:
        return []
    gap = told.longest_gap_us
    note = "" if gap is None else f"  longest gap {_ms(gap)}"
    counts = _resampled(told.token_counts, room.width)
    return [
        line(strong("when its tokens came"), muted(note)),
        *bars(counts, rows, room.glyphs, SERIES_INKS[0]),
    ]


def _resampled(counts: Sequence[int], width: int) -> list[float]:
    """The counts spread over so many cells; their sum stays."""
    scale = len(counts) / width
    result = []
    for cell in range(width):
        begin, end = cell * scale, (cell + 1) * scale
        covered = range(int(begin), min(len(counts), int(end - 1e-9) + 1))
        result.append(sum(counts[at] * (min(end, at + 1) - max(begin, at)) for at in covered))
    return result


def interval_head() -> Line:
    """The headings of the intervals."""
    return line(
        muted("interval".ljust(_KIND_CELLS)),
        muted("from".rjust(_TIME_CELLS)),
        muted("length".rjust(_TIME_CELLS)),
        muted("tokens".rjust(_TOKENS_CELLS)),
    )


def _interval(each: TimelineInterval, told: RequestTimeline, room: Room) -> Line:
    style = STYLES[each.kind]
    tokens = count(each.tokens) if each.tokens else ""
    text = line(
        Piece(each.kind.value.ljust(_KIND_CELLS), PART_INKS[style]),
        value(_ms(each.start_us).rjust(_TIME_CELLS)),
        value(_ms(each.length_us).rjust(_TIME_CELLS), Ink.STRONG),
        muted(tokens.rjust(_TOKENS_CELLS)),
    )
    bar = room.width - text.width - 2
    if bar < _LEAST_BAR or not told.e2e_us:
        return text
    before = min(bar - 1, int(each.start_us / told.e2e_us * bar))
    cells = max(1, min(bar - before, round(each.length_us / told.e2e_us * bar)))
    return line(
        text,
        "  ",
        Piece(room.glyphs.pattern_empty * before, Ink.FAINT),
        Piece(room.glyphs.patterns[style] * cells, PART_INKS[style]),
        Piece(room.glyphs.pattern_empty * (bar - before - cells), Ink.FAINT),
    )


def _ms(length_us: int | None) -> str:
    return milliseconds(None if length_us is None else length_us / 1e3)
