"""The list of snapshots and recordings: a row each, with as many columns as fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from ....engine.records.kept.rows import Facts, KeptRow, Kind
from ...drawing.line import EMPTY, Line, Piece, clipped, line, muted
from ...drawing.meter import bars
from ...state.sessions import Sessions, title_of
from ...style.formatting import MISSING, clip_middle, milliseconds, rate, span
from ...style.glyphs import Glyphs
from ...style.inks import Ink
from ..panel import Room, Row, RowsView

SPARK = "decode_tok_s"
LEAST_NAME, MOST_NAME = 14, 40
MARK_CELLS = 3
GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures. The lower its `rank`, the longer it stays on a narrow screen."""

    heading: str
    cells: int
    rank: int
    text: Callable[[KeptRow, Facts], str]
    left: bool = True


COLUMNS = (
    Column("", 4, 0, lambda row, _: "rec" if row.kind is Kind.RECORDING else "snap"),
    Column("time", 16, 1, lambda _, facts: time_text(facts.wall_s)),
    Column("length", 7, 8, lambda _, facts: length_text(facts), left=False),
    Column("model", 16, 4, lambda _, facts: facts.model),
    Column("strategy", 10, 2, lambda _, facts: facts.strategy),
    Column("level", 5, 3, lambda _, facts: facts.precision),
    Column("decode", 12, 5, lambda _, facts: rate(facts.decode_tok_s, "tok"), left=False),
    Column("TTFT p95", 8, 6, lambda _, facts: milliseconds(facts.ttft_p95_ms), left=False),
)
SPARK_CELLS, SPARK_RANK = 10, 7


def time_text(wall_s: float) -> str:
    """Local time, to the minute."""
    try:
        return f"{datetime.fromtimestamp(wall_s).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return MISSING


def length_text(facts: Facts) -> str:
    """How long a recording is; nothing of a snapshot."""
    return "" if facts.length_s is None else span(facts.length_s)


def fitting_columns(width: int) -> tuple[list[Column], bool, int]:
    """The columns that fit, whether the curve does, and the cells of the name."""
    ranked = sorted(
        [*((column.rank, column.cells) for column in COLUMNS), (SPARK_RANK, SPARK_CELLS)]
    )
    free, fitting = width - MARK_CELLS - LEAST_NAME - GAP, set[int]()
    for rank, cells in ranked:
        if cells + GAP <= free:
            free -= cells + GAP
            fitting.add(rank)
    shown = [column for column in COLUMNS if column.rank in fitting]
    return shown, SPARK_RANK in fitting, min(LEAST_NAME + free, MOST_NAME)


def listing_view(sessions: Sessions, room: Room) -> RowsView:
    """The panel of the list."""
    columns, spark, name_cells = fitting_columns(room.width)
    shown = sessions.shown
    head = [" " * MARK_CELLS, "name".ljust(name_cells + GAP)]
    head += [_fit(column.heading, column, room.glyphs) + " " * GAP for column in columns]
    rows = [_row(row, sessions, columns, name_cells, room, spark=spark) for row in shown]
    count = f"{len(shown)} of {len(sessions.rows)}" if sessions.wanted else f"{len(shown)}"
    figures = [Piece(count, Ink.STRONG)]
    if sessions.unread:
        figures.append(muted(f"  reading {sessions.unread} more"))
    if sessions.left_out:
        figures.append(muted(f"  {sessions.left_out} older ones left out"))
    foot = (line(Piece(f" {sessions.problem}", Ink.BAD)),) if sessions.problem else ()
    return RowsView(
        title=line(Piece("Snapshots and recordings", Ink.TITLE)),
        figures=line(*figures),
        head=(room.clipped(line(*map(muted, head), muted("tok/s" if spark else ""))),),
        rows=tuple(rows) or (Row(_nothing(sessions)),),
        foot=foot,
    )


def _nothing(sessions: Sessions) -> Line:
    if sessions.unread:
        return line(muted("   reading …"))
    if sessions.wanted:
        return line(muted(f"   nothing has '{sessions.wanted}' in it"))
    return line(muted("   nothing is kept yet: s saves a snapshot, r records"))


def _row(
    row: KeptRow,
    sessions: Sessions,
    columns: Sequence[Column],
    name_cells: int,
    room: Room,
    *,
    spark: bool,
) -> Row:
    glyphs, facts = room.glyphs, row.facts
    mark = Piece(f" {_mark(row, sessions, glyphs)} ", Ink.MARK)
    name = clip_middle(title_of(row), name_cells, glyphs.ellipsis).ljust(name_cells + GAP)
    if facts is None:
        reason = clipped(line(mark, muted(name), Piece(row.problem, Ink.BAD)), room.width, glyphs)
        return Row(reason, str(row.path))
    cells = [
        Piece(_fit(column.text(row, facts), column, glyphs) + " " * GAP, _ink(column))
        for column in columns
    ]
    curve = bars(_newest(facts.curves.get(SPARK, [])), 1, glyphs, Ink.ACCENT)[0] if spark else EMPTY
    ink = Ink.STRONG if facts.label else Ink.TEXT
    return Row(line(mark, Piece(name, ink), *cells, curve), str(row.path))


def _mark(row: KeptRow, sessions: Sessions, glyphs: Glyphs) -> str:
    """`A` and `B` are what is compared."""
    if row.path in sessions.marked:
        return "AB"[sessions.marked.index(row.path)]
    return glyphs.recording if row.facts is not None and row.facts.in_use else " "


def _ink(column: Column) -> Ink:
    return Ink.MUTED if column.heading in ("", "length") else Ink.TEXT


def _fit(text: str, column: Column, glyphs: Glyphs) -> str:
    fitted = clip_middle(text, column.cells, glyphs.ellipsis)
    return fitted.ljust(column.cells) if column.left else fitted.rjust(column.cells)


def _newest(values: Sequence[float]) -> list[float]:
    """As many values as there are cells: of each stretch the greatest."""
    count = len(values)
    if count <= SPARK_CELLS:
        return [max(0.0, value) for value in values]
    edges = [count * place // SPARK_CELLS for place in range(SPARK_CELLS + 1)]
    return [max(0.0, *values[first:last]) for first, last in pairwise(edges)]
