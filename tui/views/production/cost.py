"""What serving costs: the window and the session side by side, with where the time went."""

from collections.abc import Callable

from ....engine.cost.rates import Rates
from ....engine.cost.spend import Spend
from ....engine.protocol import Window
from ...drawing.line import (
    Line,
    Piece,
    clipped,
    first_fitting,
    in_glyphs,
    line,
    muted,
    wrapped,
)
from ...drawing.meter import Part, stacked, stacked_legend
from ...state.cost import Costing
from ...state.moment import Moment
from ...style.formatting import MISSING, dollars, duration, joules, percent
from ...style.glyphs import Glyphs
from ...style.inks import Ink
from ..panel import Room, Row, RowsView, figure, value, waiting_line, windowed
from ..table import Column, table

SET_PRICE = "no price: cost.usd_per_hour in config.toml sets one"
OLDER = "this does not tell what was used: it is of an older prodtop"

_FIGURES: tuple[tuple[str, Callable[[Spend], str]], ...] = (
    ("cost", lambda of: dollars(of.total_usd)),
    ("  device", lambda of: dollars(of.device_usd)),
    ("  energy", lambda of: dollars(of.energy_usd)),
    ("  storage", lambda of: dollars(of.storage_usd)),
    ("  bandwidth", lambda of: dollars(of.bandwidth_usd)),
    ("per hour", lambda of: dollars(of.per_hour_usd)),
    ("per request", lambda of: dollars(of.per_request_usd)),
    ("1M tokens in", lambda of: dollars(of.tokens.input)),
    ("1M tokens out", lambda of: dollars(of.tokens.output)),
    ("1M tokens cached", lambda of: dollars(of.tokens.cached)),
    ("caches spared", lambda of: dollars(of.tokens.spared_usd)),
    ("energy used", lambda of: joules(of.usage.energy_j)),
    ("J per request", lambda of: joules(of.joules_per_request)),
    ("J per token out", lambda of: joules(of.joules_per_output_token)),
)
_WHERE_GIVEN = frozenset({"  storage", "  bandwidth"})
"""Parts that are there only where they have a price: nothing measures their amounts."""


def cost_view(costing: Costing, moment: Moment, room: Room) -> RowsView:
    """A row for each figure, of the chosen window and of the session."""
    title = windowed("Cost", moment)
    if moment.frame is None:
        return RowsView(title, rows=(Row(waiting_line(moment, room)),))
    if costing.window is None or costing.session is None:
        return RowsView(title, rows=(Row(room.clipped(line(" ", muted(OLDER)))),))
    return RowsView(
        title,
        figures=_headline(costing.window),
        head=(room.clipped(line(" ", _price(costing.rates))), *_budget(costing, room)),
        rows=tuple(Row(each) for each in _rows(costing.window, costing.session, moment, room)),
    )


def _headline(now: Spend) -> Line:
    return line(
        figure("$/h", dollars(now.per_hour_usd)),
        "  ",
        figure("$/request", dollars(now.per_request_usd)),
    )


def _price(rates: Rates) -> Line:
    """`$4.59/h  list price: …`; a list price is nobody's own, and says so."""
    if rates.usd_per_hour is None:
        return line(Piece(SET_PRICE, Ink.WARN))
    ink = Ink.WARN if rates.listed else Ink.MUTED
    return line(value(f"{dollars(rates.usd_per_hour)}/h"), "  ", Piece(rates.source, ink))


def _budget(costing: Costing, room: Room) -> tuple[Line, ...]:
    alert = costing.budget
    if alert is None:
        return ()
    words, ink = ("over budget: ", Ink.BAD) if alert.over else ("within budget: ", Ink.OK)
    return (room.clipped(line(" ", Piece(words, ink), muted(alert.text))),)


def _rows(now: Spend, session: Spend, moment: Moment, room: Room) -> list[Line]:
    spans = {moment.window: now, Window.SESSION: session}
    shown = [
        (name, read)
        for name, read in _FIGURES
        if name not in _WHERE_GIVEN or any(read(spend) != MISSING for spend in spans.values())
    ]
    columns = [Column("", ["over", *(name for name, _ in shown)], right=False)]
    for name, spend in spans.items():
        cells = [duration(spend.usage.span_s), *(read(spend) for _, read in shown)]
        figures = [line(value(each)) for each in cells]
        columns.append(Column(name, figures, rank=int(spend is not now)))
    head, rows = table(columns, room.width - 1)
    return [line(" ", each) for each in (head, *rows, *_time(now, room))]


def _time(now: Spend, room: Room) -> list[Line]:
    """Where the device's time of the window went."""
    split, glyphs = now.split, room.glyphs
    if split.compute is None or split.memory is None:
        parts = [Part("busy", split.busy), Part("idle", split.idle)]
    else:
        parts = [
            Part("compute", split.compute),
            Part("memory", split.memory),
            Part("idle", split.idle),
        ]
    bar = stacked(parts, 1.0, max(10, room.width - 2), glyphs)
    shares = [percent(part.amount) for part in parts]
    legends = [stacked_legend(parts, shares, glyphs)]
    if now.device_usd is not None:
        costs = [dollars(now.device_usd * part.amount) for part in parts]
        both = [f"{share} {cost}" for share, cost in zip(shares, costs, strict=True)]
        legends.insert(0, stacked_legend(parts, both, glyphs))
    return [bar, clipped(first_fitting(legends, room.width - 2), room.width - 2, glyphs)]


def cells_view(costing: Costing, moment: Moment, room: Room, key: str) -> RowsView:
    """What a request costs under each strategy at each precision, as Compare measured them."""
    title = line(Piece("Cost by strategy", Ink.TITLE), muted("  $/request at this load"))
    foot = (room.clipped(line(" ", _measured(costing, key, room.glyphs))),)
    if not costing.cells:
        return RowsView(title, rows=(Row(foot[0]),))
    strategies = list(dict.fromkeys(each.cell.strategy for each in costing.cells))
    precisions = list(dict.fromkeys(each.cell.precision for each in costing.cells))
    by_place = {(each.cell.strategy, each.cell.precision): each for each in costing.cells}
    found = [each.per_request.value for each in costing.cells if each.per_request is not None]
    best, frame = min(found, default=None), moment.frame
    columns = [Column("", [line(name) for name in strategies], right=False)]
    for rank, precision in enumerate(precisions):
        cells: list[Line] = []
        for strategy in strategies:
            cost = by_place.get((strategy, precision))
            median = None if cost is None else cost.per_request
            ink = Ink.OK if median is not None and median.value == best else Ink.TEXT
            served = frame is not None and (frame.strategy, frame.precision) == (
                strategy,
                precision,
            )
            mark = Piece(room.glyphs.bullet if served else " ", Ink.ACCENT)
            amount = value(dollars(None if median is None else median.value), ink)
            sign = room.glyphs.check if ink is Ink.OK else " "
            cells.append(line(mark, amount, Piece(f" {sign}", Ink.OK)))
        columns.append(Column(precision, cells, rank=rank))
    head, rows = table(columns, room.width - 1)
    return RowsView(
        title, head=(line(" ", head),), rows=tuple(Row(line(" ", each)) for each in rows), foot=foot
    )


def _measured(costing: Costing, key: str, glyphs: Glyphs) -> Line:
    """What the cells are of, or what measures them."""
    if any(each.per_request is not None for each in costing.cells):
        return line(muted(f"medians of Compare's repeats; {glyphs.check}: the cheapest"))
    if costing.rates.usd_per_hour is None and any(each.generated for each in costing.cells):
        return line(Piece(SET_PRICE, Ink.WARN))
    words = "cells were measured under another load: " if costing.other_load else "not measured: "
    return line(muted(words), Piece(key, Ink.ACCENT), muted(" in Compare measures them"))


def what_ifs_view(costing: Costing, moment: Moment, room: Room) -> RowsView:
    """What a request would cost otherwise, each with its assumption."""
    title = line(Piece("What if", Ink.TITLE), muted("  $/request"))
    if not costing.what_ifs:
        words = (
            waiting_line(moment, room)
            if moment.frame is None
            else room.clipped(line(" ", muted(OLDER)))
        )
        return RowsView(title, rows=(Row(words),))
    rows: list[Row] = []
    for each in costing.what_ifs:
        change = MISSING if each.ratio is None else f"{room.glyphs.times}{each.ratio:.2f}"
        name = in_glyphs(each.name, room.glyphs)
        figures = line(
            Piece(f"{name:<10}", Ink.STRONG),
            value(change.rjust(7), Ink.OK if each.ratio and each.ratio < 1 else Ink.TEXT),
            value(dollars(each.per_request_usd).rjust(12)),
        )
        rows.append(Row(line(" ", figures)))
        about = each.assumption if each.missing is None else f"{each.missing}; {each.assumption}"
        rows += [Row(line("   ", muted(text))) for text in _wrapped(about, room)]
    return RowsView(title, rows=tuple(rows))


def _wrapped(text: str, room: Room) -> list[str]:
    return wrapped(in_glyphs(text, room.glyphs), max(10, room.width - 4))
