"""The table of a fleet: a row for each replica, with as many columns as fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ...drawing.line import EMPTY, Line, Piece, first_fitting, joined, line, muted, rule
from ...drawing.meter import bars
from ...state.fleet import INKS, Fleet, FleetOrder, Group, Order, Row, Totals, shown_rows, totals
from ...style.formatting import clip_middle, count, dollars, milliseconds, percent, rate, si
from ...style.inks import Ink
from ..panel import Room, RowsView, value
from ..panel import Row as PanelRow

LEAST_NAME, MOST_NAME = 14, 34
GAP = 2
SPARK_CELLS = 12
WORD_CELLS = 10
TITLE_CELLS = 14
CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. The lower its `rank`, the longer it stays on a narrow screen."""

    heading: str
    cells: int
    rank: int
    cell: Callable[[Row], Piece]
    order: Order | None = None
    left: bool = False


COLUMNS = (
    Column("health", WORD_CELLS, 0, lambda row: _word(row), Order.HEALTH, left=True),
    Column("tok/s", 7, 1, lambda row: value(si(row.replica.decode_tok_s)), Order.SPEED),
    Column("± median", 8, 7, lambda row: _deviation(row)),
    Column("run", 5, 2, lambda row: value(count(row.replica.running))),
    Column("wait", 5, 2, lambda row: _waiting(row), Order.WAITING),
    Column("KV", 6, 3, lambda row: _kv(row), Order.KV),
    Column("TTFT p95", 9, 4, lambda row: _ttft(row), Order.TTFT),
    Column("req/s", 7, 8, lambda row: value(si(row.replica.requests_per_s))),
    Column("hits", 6, 9, lambda row: value(percent(row.replica.prefix_hits))),
    Column("$/1M", 8, 10, lambda row: value(dollars(row.usd_per_million)), Order.COST),
    Column("model", 18, 6, lambda row: muted(row.replica.model), left=True),
    Column("engine", 15, 11, lambda row: muted(_engine(row)), left=True),
    Column("node", 15, 12, lambda row: muted(row.replica.node), left=True),
)
SPARK_RANK = 5


def _word(row: Row) -> Piece:
    return Piece(row.word, INKS[row.word])


def _deviation(row: Row) -> Piece:
    if row.deviation is None:
        return muted("")
    sign = "+" if row.deviation >= 0 else "−"
    ink = Ink.WARN if row.word == "OUTLIER" else Ink.MUTED
    return Piece(f"{sign}{abs(row.deviation) * 100:.0f} %", ink)


def _waiting(row: Row) -> Piece:
    waiting = row.replica.waiting
    more = (waiting or 0) > (row.replica.running or 0)
    return value(count(waiting), Ink.WARN if more else Ink.TEXT)


def _kv(row: Row) -> Piece:
    used = row.replica.kv_used
    return value(percent(used), Ink.WARN if used is not None and used > 0.9 else Ink.TEXT)


def _ttft(row: Row) -> Piece:
    p95_ms, below_ms = row.replica.ttft_p95_ms, row.replica.ttft_below_ms
    text = milliseconds(p95_ms)
    below = p95_ms is not None and below_ms is not None and p95_ms <= below_ms
    return value(f"<{text}" if below else text, Ink.WARN if row.word == "SLOW" else Ink.TEXT)


def _engine(row: Row) -> str:
    return f"{row.replica.kind} {row.replica.version or ''}".strip()


def fitting_columns(width: int) -> tuple[list[Column], bool, int]:
    """The columns that fit, whether the curve does, and the cells of the name."""
    ranked = sorted(
        [*((column.rank, column.cells) for column in COLUMNS), (SPARK_RANK, SPARK_CELLS)]
    )
    free, fitting = width - 1 - LEAST_NAME - GAP, set[int]()
    for rank, cells in ranked:
        if cells + GAP > free:
            break
        free -= cells + GAP
        fitting.add(rank)
    shown = [column for column in COLUMNS if column.rank in fitting]
    return shown, SPARK_RANK in fitting, min(LEAST_NAME + max(0, free), MOST_NAME)


def fleet_view(fleet: Fleet, order: FleetOrder, room: Room) -> RowsView:
    """The panel of the table."""
    columns, spark, name_cells = fitting_columns(room.width)
    groups = shown_rows(fleet, order)
    rows: list[PanelRow] = []
    for name, members in groups.items():
        if order.group is not Group.NONE:
            rows.append(PanelRow(_group_line(name, members, room)))
        for row in members:
            draw = partial(_row, row, fleet, columns, name_cells, room, spark=spark)
            rows.append(PanelRow(target=row.replica.name, draw=draw))
    everyone = [row for members in groups.values() for row in members]
    foot = (line(Piece(f" {fleet.note}", Ink.BAD)),) if fleet.note else ()
    return RowsView(
        title=line(Piece("Fleet", Ink.TITLE)),
        figures=_totals_line(totals(everyone), room.width - TITLE_CELLS),
        head=(_head(columns, order, name_cells, room, spark=spark),),
        rows=tuple(rows) or (PanelRow(line(muted(" no server has these words"))),),
        foot=foot,
    )


def _head(
    columns: Sequence[Column], order: FleetOrder, name_cells: int, room: Room, *, spark: bool
) -> Line:
    arrow = room.glyphs.arrow_up if order.descending else room.glyphs.arrow_down
    pieces = [_heading("name", name_cells, order.order is Order.NAME, arrow, left=True)]
    for column in columns:
        sorts = column.order is not None and column.order is order.order
        click = f"screen.order('{column.order.name}')" if column.order is not None else ""
        heading = _heading(column.heading, column.cells, sorts, arrow, left=column.left)
        pieces += [Piece(" " * GAP), heading._replace(click=click)]
        if spark and column.heading == "tok/s":
            pieces += [Piece(" " * GAP), muted("last minute".ljust(SPARK_CELLS))]
    return room.clipped(line(" ", *pieces))


def _heading(text: str, cells: int, sorts: bool, arrow: str, *, left: bool) -> Piece:
    named = f"{text}{arrow}" if sorts else text
    padded = named.ljust(cells) if left else named.rjust(cells)
    return Piece(padded[:cells], Ink.STRONG if sorts else Ink.MUTED)


def _row(
    row: Row, fleet: Fleet, columns: Sequence[Column], name_cells: int, room: Room, *, spark: bool
) -> Line:
    glyphs = room.glyphs
    name = clip_middle(row.replica.name, name_cells, glyphs.ellipsis).ljust(name_cells)
    ink = Ink.ACCENT if row.replica.name == fleet.chosen else Ink.TEXT
    parts: list[Piece | Line] = [Piece(" "), Piece(name, ink)]
    for column in columns:
        piece = column.cell(row)
        text = clip_middle(piece.text, column.cells, glyphs.ellipsis)
        padded = text.ljust(column.cells) if column.left else text.rjust(column.cells)
        parts += [Piece(" " * GAP), piece._replace(text=padded)]
        if spark and column.heading == "tok/s":
            parts += [Piece(" " * GAP), _spark(row, room)]
    return room.clipped(line(*parts))


def _spark(row: Row, room: Room) -> Line:
    """The last minute, a cell for each five seconds."""
    each = max(1, len(row.curve) // SPARK_CELLS) if row.curve else 1
    values = [max(row.curve[place : place + each]) for place in range(0, len(row.curve), each)]
    drawn = bars(values[-SPARK_CELLS:], 1, room.glyphs, Ink.ACCENT)[0] if values else EMPTY
    return drawn.fitted(SPARK_CELLS)


def _group_line(name: str, members: Sequence[Row], room: Room) -> Line:
    return room.clipped(
        line(Piece(f" {name}  ", Ink.TITLE), _totals_line(totals(members), room.width - len(name)))
    )


def _totals_line(all_of: Totals, width: int) -> Line:
    """From the fullest to the barest."""
    wrong = [Piece(f"{number} {word}", INKS[word]) for word, number in all_of.wrong.items()]
    parts = [
        line(muted(all_of.words)),
        *map(line, wrong),
        line(value(rate(all_of.decode_tok_s, "tok"), Ink.STRONG)),
        line(value(count(all_of.running)), muted(" running")),
        line(value(count(all_of.waiting)), muted(" waiting")),
    ]
    gap = line(rule("  "))
    fewer = range(len(parts), 0, -1)
    return first_fitting([joined(parts[:number], gap) for number in fewer], width)
