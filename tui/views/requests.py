"""The table of requests: a row each, as many columns as fit, the chosen row pointed at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...engine.protocol import RequestState
from ..drawing.line import EMPTY, Line, Piece, centred, faint, first_fitting, line, muted, runs
from ..drawing.meter import Part, swatch, to_scale
from ..state.moment import Moment
from ..state.request_table import Order, Shown, TableState
from ..state.requests import RequestRow
from ..style.formatting import clip, count, milliseconds
from ..style.glyphs import Glyphs
from ..style.inks import Ink
from .panel import Room, figure, titled, value, waiting_line

STATE_INKS = {
    RequestState.WAITING: Ink.WARN,
    RequestState.PREFILL: Ink.ACCENT,
    RequestState.DECODE: Ink.OK,
    RequestState.PREEMPTED: Ink.WARN,
    RequestState.UNSTARTED: Ink.ACCENT,
    RequestState.FINISHED: Ink.MUTED,
    RequestState.FAILED: Ink.BAD,
}
REASON_CELLS = 10
LEAST_BAR = 16

QUEUE, PREFILL, DECODE = Part("queue", 0, 3), Part("first token", 0, 2), Part("decode", 0, 0)
"""The pieces of a row's bar, each with its place among the patterns."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column. Of those that do not fit, the highest `rank` goes first."""

    order: Order
    width: int
    rank: int
    cell: Callable[[RequestRow, Glyphs], Piece]
    right: bool = True


def _state(row: RequestRow, _glyphs: Glyphs) -> Piece:
    return Piece(row.state.value, STATE_INKS[row.state])


def _output(row: RequestRow, _glyphs: Glyphs) -> Piece:
    done = count(row.output_tokens)
    return value(done if row.ended or row.max_tokens is None else f"{done}/{count(row.max_tokens)}")


def _so_far(row: RequestRow, value_ms: float | None, ink: Ink = Ink.TEXT) -> Piece:
    """Faint where it can still change: the age of a request is not its E2E yet."""
    text = milliseconds(value_ms)
    return value(text, ink) if row.ended else faint(text)


def _reason(row: RequestRow, glyphs: Glyphs) -> Piece:
    text = "from cache" if row.from_response_cache else row.reason
    if not text and row.preemptions:
        text = f"preempted {glyphs.times}{row.preemptions}"
    clipped = clip(text, REASON_CELLS, ellipsis=glyphs.ellipsis)
    return Piece(clipped, Ink.BAD if row.state is RequestState.FAILED else Ink.MUTED)


COLUMNS = (
    TableColumn(Order.ID, 7, 0, lambda row, _: muted(str(row.request_id))),
    TableColumn(Order.STATE, 9, 0, _state, right=False),
    TableColumn(Order.PROMPT, 6, 3, lambda row, _: value(count(row.prompt_tokens))),
    TableColumn(Order.OUTPUT, 9, 2, _output),
    TableColumn(Order.CACHED, 6, 6, lambda row, _: value(count(row.cached_tokens))),
    TableColumn(Order.QUEUE, 7, 1, lambda row, _: value(milliseconds(row.queue_ms))),
    TableColumn(Order.TTFT, 7, 0, lambda row, _: value(milliseconds(row.ttft_ms))),
    TableColumn(Order.TPOT, 7, 4, lambda row, _: _so_far(row, row.tpot_ms)),
    TableColumn(Order.E2E, 7, 0, lambda row, _: _so_far(row, row.e2e_ms, Ink.STRONG)),
    TableColumn(Order.REASON, REASON_CELLS, 5, _reason, right=False),
)


@dataclass(frozen=True, slots=True)
class PlacedColumn:
    """A column of the table at hand, from its first cell on."""

    column: TableColumn
    start: int

    @property
    def end(self) -> int:
        return self.start + self.column.width


def placed_columns(width: int) -> list[PlacedColumn]:
    """The columns that have room, in their order; a cell is left free for the pointer."""
    fitting = list(COLUMNS)
    while 1 + sum(column.width + 1 for column in fitting) > width:
        least_needed = max(fitting, key=lambda column: column.rank)
        if least_needed.rank == 0:
            break
        fitting.remove(least_needed)
    placed, start = [], 1
    for column in fitting:
        placed.append(PlacedColumn(column, start))
        start += column.width + 1
    return placed


def column_at(x: int, width: int) -> Order | None:
    """Which column's heading lies at a cell of the head."""
    return next(
        (each.column.order for each in placed_columns(width) if each.start <= x <= each.end), None
    )


def title(moment: Moment, table: TableState) -> Line:
    """The panel's name, and what it leaves out."""
    named = titled("Requests", moment)
    return named if table.shown is Shown.ALL else line(named, muted(f" {table.shown}"))


def figures(moment: Moment, width: int) -> Line:
    """How many run and wait, on the frame."""
    frame = moment.frame
    if frame is None:
        return EMPTY
    running = figure("running", count(frame.queue.running))
    waiting = figure("waiting", count(frame.queue.waiting))
    return line(running, "  ", waiting) if width >= 46 else waiting


def head_line(table: TableState, room: Room) -> Line:
    """The headings; an arrow says which column sorts, and which way."""
    placed = placed_columns(room.width)
    arrow = room.glyphs.arrow_down if table.descending else room.glyphs.arrow_up
    parts: list[Line] = [line(" ")]
    for each in placed:
        column, sorts = each.column, each.column.order is table.order
        text = f"{column.order}{arrow}" if sorts else column.order.value
        padded = text.rjust(column.width) if column.right else text.ljust(column.width)
        parts.append(line(Piece(padded, Ink.STRONG if sorts else Ink.MUTED), " "))
    bar = bar_width(room.width)
    if bar:
        parts.append(line(" ", first_fitting(_bar_legends(room.glyphs), bar)))
    return line(*parts)


def _bar_legends(glyphs: Glyphs) -> list[Line]:
    """What a bar's pieces are, in words as long as there is room for."""
    return [
        line(
            *(
                part
                for name, piece in zip(names, (QUEUE, PREFILL, DECODE), strict=True)
                for part in (swatch(piece, glyphs), muted(f" {name}  "))
            )
        )
        for names in (("queue", "first token", "decode"), ("queue", "first", "rest"))
    ]


def bar_width(width: int) -> int:
    """The cells that are left for a bar of each row; 0 where there are too few."""
    left = width - placed_columns(width)[-1].end - 3
    return left if left >= LEAST_BAR else 0


def row_lines(
    rows: Sequence[RequestRow], chosen: str | None, room: Room, *, longest_ms: float
) -> list[Line]:
    """A line for each row; bars are as long as the rows' times, of `longest_ms` at most."""
    placed, bar = placed_columns(room.width), bar_width(room.width)
    return [_row(row, row.key == chosen, placed, bar, longest_ms, room.glyphs) for row in rows]


def _row(
    row: RequestRow,
    chosen: bool,
    placed: Sequence[PlacedColumn],
    bar: int,
    longest_ms: float,
    glyphs: Glyphs,
) -> Line:
    parts = [Piece(glyphs.pointer, Ink.ACCENT) if chosen else Piece(" ")]
    for each in placed:
        column = each.column
        piece = column.cell(row, glyphs)
        ink = Ink.STRONG if chosen and piece.ink in (Ink.MUTED, Ink.TEXT) else piece.ink
        pad = " " * (column.width - len(piece.text))
        parts += (
            [Piece(pad), Piece(piece.text, ink)]
            if column.right
            else [
                Piece(piece.text, ink),
                Piece(pad),
            ]
        )
        parts.append(Piece(" "))
    if bar:
        parts += [Piece(" "), *_bar(row, bar, longest_ms, glyphs).pieces]
    return runs(parts)


def _bar(row: RequestRow, width: int, longest_ms: float, glyphs: Glyphs) -> Line:
    """Where a request's time went: queue, then until its first token, then the others."""
    whole_ms = row.e2e_ms
    cells = max(1, round(whole_ms / longest_ms * width)) if longest_ms > 0 else 1
    if row.queue_ms is None:
        in_queue = not row.ended
        spans = (whole_ms if in_queue else 0.0, 0.0, 0.0 if in_queue else whole_ms)
    else:
        first_ms = whole_ms if row.ttft_ms is None else row.ttft_ms
        spans = (row.queue_ms, max(0.0, first_ms - row.queue_ms), max(0.0, whole_ms - first_ms))
    parts = [
        Part(part.name, span, part.style)
        for part, span in zip((QUEUE, PREFILL, DECODE), spans, strict=True)
    ]
    return to_scale(parts, cells, glyphs)


def empty_lines(moment: Moment, table: TableState, room: Room) -> list[Line]:
    """What stands where there are no rows."""
    if moment.frame is None:
        return [waiting_line(moment, room)]
    what = "" if table.shown is Shown.ALL else f"{table.shown} "
    return [centred(muted(f"no {what}requests"), room.width)]


def footnote(shown: int, total: int, left_out: int | None) -> Line:
    """How much there is beside what is in sight."""
    parts = [f"{shown} of {count(total)}"] if total > shown else []
    if left_out:
        parts.append(f"{count(left_out)} more in the system")
    return line(muted(", ".join(parts))) if parts else EMPTY
