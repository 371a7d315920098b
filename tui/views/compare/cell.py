"""One cell explained: what its strategy is for, how often it ran, and every metric of it."""

from collections.abc import Callable, Mapping, Sequence

from ....engine.compare.metrics import METRICS, Metric
from ....engine.compare.wording import figure as worded
from ....engine.protocol import StrategyName, describe_load
from ....engine.protocol.wording import counted
from ...drawing.line import EMPTY, Line, Piece, in_glyphs, line, muted, strong, wrapped
from ...state.compare import Compare
from ...state.compare_table import Spot
from ...style.formatting import MISSING
from ...style.inks import Ink
from ..panel import Room, Row, RowsView, value
from .matrix import factor, heat_ink, shade, spread

PURPOSE: Mapping[StrategyName, str] = {
    StrategyName.SINGLE: "one request at a time: the base line; the others wait",
    StrategyName.BATCHED: "whole batches: for work without readers; short answers wait",
    StrategyName.CONTINUOUS: "requests join and leave at every step: for throughput",
    StrategyName.CACHED: "continuous, with prefix and response cache: for prompts that repeat",
    StrategyName.STREAMING: "continuous, tokens sent as they come: for people who read along",
    StrategyName.HYBRID: "streaming with both caches: for chats that share prompts",
}
COLUMN_GAP = 3

SpotOf = Callable[[str], Spot]
"""The same cell by a metric's name."""


def cell_view(
    compare: Compare, spot: Spot | None, spot_of: SpotOf, room: Room, key: str
) -> RowsView:
    """Everything known of the cell under the cursor; the metric in view stands in the title."""
    if spot is None:
        return RowsView(title=line(Piece("Cell", Ink.TITLE)))
    strategy, precision = spot.place
    metric = METRICS[spot.entry.metric]
    lines = [line(muted(text)) for text in wrapped(PURPOSE[strategy], room.width - 2)]
    lines += [line(piece) for piece in _state(compare, spot, room, key)]
    lines += _metrics(spot_of, room)
    text = worded(None if spot.median is None else spot.median.value, metric.unit)
    figures = [in_glyphs(part, room.glyphs) for part in (text, spread(spot), factor(spot)) if part]
    sign = "" if spot.heat is None else f"{shade(spot.heat, room.glyphs)} "
    ink = Ink.STRONG if spot.heat is None else heat_ink(spot.heat)
    return RowsView(
        title=line(Piece(f"{strategy} {precision}", Ink.TITLE)),
        figures=line(
            muted(in_glyphs(f"{metric.label} ", room.glyphs)),
            Piece(f"{sign}{' '.join(figures)}", ink),
        ),
        rows=tuple(Row(room.clipped(line(" ", each))) for each in lines),
    )


def _state(compare: Compare, spot: Spot, room: Room, key: str) -> list[Piece]:
    """How often it ran, and what kept it from it."""
    measured = compare.measured(spot.place)
    parts: list[Piece] = []
    if measured is not None and measured.repeats:
        load = in_glyphs(describe_load(measured.cell.load), room.glyphs)
        work = compare.comparison.work.requests if compare.comparison else 0
        repeats = counted(len(measured.repeats), "repeat")
        text = f"{repeats} of {counted(work, 'request')}, {load}"
        parts.append(muted(text))
        if measured.failed_requests:
            parts.append(Piece(f"{counted(measured.failed_requests, 'request')} failed", Ink.BAD))
    if spot.failure is not None:
        parts += [Piece(text, Ink.BAD) for text in _wrap(f"FAILED: {spot.failure}", room)]
    if spot.skipped is not None:
        parts += [Piece(text, Ink.WARN) for text in _wrap(f"skipped: {spot.skipped}", room)]
    tried = compare.served(spot.place)
    if not parts and tried is None:
        parts.append(muted(f"{MISSING} not measured: {key or 'measure in the palette'} measures"))
    if tried is not None and tried.figures is not None and not (measured and measured.repeats):
        load = describe_load(tried.settings.load)
        text = (
            f"~ served live under {load} for {tried.figures.span_s:.0f} s: other work, not ranked"
        )
        parts += [muted(each) for each in _wrap(text, room)]
    return parts


def _wrap(text: str, room: Room) -> list[str]:
    return wrapped(in_glyphs(text, room.glyphs), room.width - 2)


def _metrics(spot_of: SpotOf, room: Room) -> Sequence[Line]:
    """Every metric that the cell has, in as many columns as fit."""
    known = []
    for name in METRICS:
        found = spot_of(name)
        if found.median is not None or found.live is not None:
            known.append(_metric(METRICS[name], found, room))
    cells = max((each.width for each in known), default=1) + COLUMN_GAP
    columns = max(1, (room.width - 2 + COLUMN_GAP) // cells)
    rows = -(-len(known) // columns) if known else 0
    return [line(*(each.fitted(cells) for each in known[row::rows])) for row in range(rows)] or [
        EMPTY
    ]


def _metric(metric: Metric, spot: Spot, room: Room) -> Line:
    name = muted(in_glyphs(f"{metric.label:<14}", room.glyphs))
    if spot.median is None and spot.live is not None:
        least, at_least = spot.live
        text = f"{'≥ ' if at_least else ''}{worded(least, metric.unit)}"
        return line(name, muted(in_glyphs(f"~ {text}", room.glyphs)))
    amount = None if spot.median is None else spot.median.value
    rest = " ".join(filter(None, (spread(spot), factor(spot))))
    shown = value(in_glyphs(worded(amount, metric.unit), room.glyphs))
    return line(name, strong(shown.text), muted(in_glyphs(f" {rest}", room.glyphs)))
