"""Serving capacity: GPU types by precision, and one of them at every batch."""

from collections.abc import Mapping

from ....engine.planner.serving_capacity.capacity import Capacity, Cell, Speed
from ....engine.protocol.wording import plural
from ...drawing.line import EMPTY, Line, Piece, faint, line, muted, strong, wrapped
from ...planner.capacity import PRECISIONS, Served
from ...planner.plan import Plan
from ...planner.units import gib
from ...style.formatting import MISSING, binary_bytes, milliseconds, percent, si
from ...style.inks import Ink
from ..panel import Room, Row, RowsView
from ..table import Column, table
from .common import panel_title


def matrix_view(
    plan: Plan, cells: Mapping[str, Mapping[str, Cell]], room: Room, note: str = ""
) -> RowsView:
    """For each GPU type and precision: how many it takes, tokens/s, and dollars a million."""
    keys = list(cells)
    cheapest = _cheapest(cells)
    columns = [Column("GPU", [line(strong(key)) for key in keys], right=False)]
    for rank, precision in enumerate(PRECISIONS):
        row = [cells[key].get(precision) for key in keys]
        columns += [
            Column(precision, [_gpus(cell, room) for cell in row], rank=rank and 2 * rank),
            Column("tok/s", [_speed(cell) for cell in row], rank=rank and 2 * rank),
            Column("$/Mtok", [_cost(cell, cheapest) for cell in row], rank=2 * rank + 1),
        ]
    head, rows = table(columns, room.width - 1)
    load = plan.load
    figures = line(
        strong(f"{load.requests}"),
        muted(f" {plural(load.requests, 'request')} of "),
        strong(f"{load.prompt_tokens}+{load.output_tokens}"),
        muted(" tokens"),
    )
    return RowsView(
        panel_title("Serving", note),
        figures,
        (line(" ", head),),
        tuple(Row(line(" ", one), key) for one, key in zip(rows, keys, strict=True)),
    )


def _cheapest(cells: Mapping[str, Mapping[str, Cell]]) -> float | None:
    costs = [
        cost
        for row in cells.values()
        for cell in row.values()
        if cell.result is not None and (cost := cell.result.usd_per_million_output) is not None
    ]
    return min(costs, default=None)


def _gpus(cell: Cell | None, room: Room) -> Line:
    if cell is None or cell.result is None:
        return line(Piece(room.glyphs.cross, Ink.FAINT))
    ink = Ink.TEXT if cell.result.holds_load else Ink.WARN
    return line(Piece(f"{cell.gpus}{room.glyphs.times}", ink))


def _speed(cell: Cell | None) -> Line:
    tokens_s = cell.result.tokens_s if cell is not None and cell.result is not None else None
    return line(faint(MISSING)) if tokens_s is None else line(si(tokens_s))


def _cost(cell: Cell | None, cheapest: float | None) -> Line:
    each = cell.result.usd_per_million_output if cell and cell.result is not None else None
    if each is None:
        return line(faint(MISSING))
    return line(Piece(f"{each:.2f}", Ink.OK if each == cheapest else Ink.TEXT))


def server_view(served: Served, plan: Plan, room: Room) -> RowsView:
    """One GPU type at the form's precision: memory, latency, and speed at every batch."""
    result = served.result
    title = panel_title(f"{served.gpu} at {plan.storage.precision}")
    if result is None:
        reason = wrapped(served.reason or "", room.width - 2)
        return RowsView(title, rows=tuple(Row(line(" ", Piece(row, Ink.WARN))) for row in reason))
    lines = _facts(result, room)
    if served.reason is not None and not result.fits:
        lines += [line(" ", Piece(row, Ink.BAD)) for row in wrapped(served.reason, room.width - 2)]
    head, rows = table(
        [
            Column("batch", [str(speed.batch) for speed in served.speeds]),
            Column("roofline tok/s", [si(speed.roofline_tokens_s) for speed in served.speeds]),
            Column("tok/s", [_tokens(speed) for speed in served.speeds]),
            Column(
                "of it",
                [percent(speed.tokens_s / speed.roofline_tokens_s) for speed in served.speeds],
                rank=1,
            ),
            Column(
                "ms a token",
                [milliseconds(speed.step.total_s * 1000) for speed in served.speeds],
                rank=2,
            ),
            Column("", [_fits(speed, room) for speed in served.speeds], right=False, rank=3),
        ],
        room.width - 1,
    )
    rows_shown = [*lines, EMPTY, line(" ", head), *(line(" ", row) for row in rows)]
    count = f"{result.server.gpus} {room.glyphs.times} {result.server.gpu.name}"
    return RowsView(title, line(muted(count)), rows=tuple(Row(one) for one in rows_shown))


def _facts(result: Capacity, room: Room) -> list[Line]:
    memory, tpot_s = result.memory, result.tpot_s
    batch = memory.largest_batch
    tpot = MISSING if tpot_s is None else milliseconds(tpot_s * 1000)
    parts = [
        line(muted("weights "), f"{gib(memory.weights)} GiB"),
        line(muted("a request "), binary_bytes(memory.sequence)),
        line(muted("usable "), f"{gib(memory.usable)} GiB"),
        line(muted("largest batch "), Piece(str(batch), Ink.STRONG if batch else Ink.BAD)),
        line(muted("TTFT "), strong(milliseconds(result.ttft_s * 1000))),
        line(muted("TPOT "), strong(tpot)),
        line(strong(si(result.tokens_s)), muted(" tok/s under this load")),
        line(strong(_dollars(result.usd_per_million_output)), muted(" per million out")),
    ]
    separator = muted(f" {room.glyphs.dot} ")
    rows: list[Line] = [line(" ", parts[0])]
    for part in parts[1:]:
        longer = line(rows[-1], separator, part)
        if longer.width <= room.width:
            rows[-1] = longer
        else:
            rows.append(line(" ", part))
    return [*rows, room.clipped(line(" ", muted(_price(result))))]


def _tokens(speed: Speed) -> Line:
    return line(Piece(si(speed.tokens_s), Ink.STRONG if speed.fits else Ink.FAINT))


def _fits(speed: Speed, room: Room) -> Line:
    if speed.fits:
        return line(Piece(room.glyphs.check, Ink.OK))
    return line(Piece(f"{room.glyphs.cross} memory", Ink.BAD))


def _dollars(value: float | None) -> str:
    return MISSING if value is None else f"${value:.2f}"


def _price(result: Capacity) -> str:
    if result.price is None:
        return "no price is known for it"
    price = result.price
    return f"${price.usd_per_hour:.2f} a GPU-hour on {price.date}: {price.source}"
