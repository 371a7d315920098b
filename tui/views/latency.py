"""The latency table: six latencies by three percentiles over the chosen window."""

from ...engine.protocol import (
    SLO_NAMES,
    Attainment,
    Frame,
    Latency,
    Percentiles,
    Window,
)
from ..drawing.chart_data import Threshold
from ..drawing.line import Line, Piece, line, muted
from ..state.moment import Moment
from ..style.formatting import MISSING, count, milliseconds, percent
from ..style.inks import Ink
from ..style.quantiles import quantile_text
from .panel import PanelView, Room, figure, titled, value, waiting_line, windowed

ROWS = ("ttft", "ttfb", "tpot", "itl", "e2e", "queue")
NAMES = {"ttft": "TTFT", "ttfb": "TTFB", "tpot": "TPOT", "itl": "ITL", "e2e": "E2E"}
MEANINGS = {
    "ttft": "first token",
    "ttfb": "first byte",
    "tpot": "per token",
    "itl": "between tokens",
    "e2e": "whole request",
    "queue": "before its first step",
}

WITHIN = "in limit"
"""The column with the share of requests within the limit of their row."""
ATTAINED = 0.95
FIGURE_CELLS = 7
"""As wide as a latency may be: `0.42 ms`."""

_NAME_WIDTH = 6
_CELL_WIDTH = 9
_MEANING_WIDTH = 22


def latency_view(moment: Moment, room: Room) -> PanelView:
    """The table and, on the frame, the TTFT that most requests stay under."""
    frame = moment.frame
    if frame is None:
        return PanelView(titled("Latency", moment), lines=(waiting_line(moment, room),))
    latency = frame.latency.get(moment.window, Latency())
    return PanelView(
        windowed("Latency", moment),
        _ttft(latency.ttft, frame),
        tuple(_table(latency, frame, moment.window, room)),
        moment.stale_s is not None,
    )


def _ttft(ttft: Percentiles | None, frame: Frame) -> Line:
    """The p95, or the age of the oldest request that still waits where that is more: requests in
    flight are in no percentile."""
    limit_ms, oldest_s = frame.slo.ttft_ms, frame.queue.oldest_unstarted_s
    p95_ms = ttft.p95_ms if ttft else None
    if oldest_s is not None and (p95_ms is None or oldest_s * 1e3 > p95_ms):
        oldest_ms = oldest_s * 1e3
        if p95_ms is not None or (limit_ms is not None and oldest_ms > limit_ms):
            ink = _ink(oldest_ms, limit_ms, Ink.STRONG)
            return figure("TTFT ≥", milliseconds(oldest_ms, width=FIGURE_CELLS), ink)
    ink = Ink.STRONG if p95_ms is None else _ink(p95_ms, limit_ms, Ink.STRONG)
    return figure("TTFT p95", quantile_text(ttft, p95_ms, width=FIGURE_CELLS), ink)


def _table(latency: Latency, frame: Frame, window: Window, room: Room) -> list[Line]:
    columns = ["p50", "p95", "p99"]
    width_left = room.width - _NAME_WIDTH - len(columns) * _CELL_WIDTH
    for column in (WITHIN, "mean", "count"):
        if width_left >= _CELL_WIDTH:
            columns.append(column)
            width_left -= _CELL_WIDTH
    meanings = width_left >= _MEANING_WIDTH
    name_width = _NAME_WIDTH + (_MEANING_WIDTH if meanings else 0)
    # What is left over widens the cells, so that the table fills its panel.
    cell = min(14, (room.width - name_width) // len(columns))
    name_width = room.width - cell * len(columns)
    attainment = frame.attainment.get(window, Attainment())
    rows = [line(" " * name_width, *(Piece(column.rjust(cell), Ink.MUTED) for column in columns))]
    for field in ROWS:
        name = Piece(NAMES.get(field, field).ljust(_NAME_WIDTH), Ink.TEXT)
        meaning = MEANINGS[field] if meanings else ""
        padded = Piece(meaning.ljust(name_width - _NAME_WIDTH), Ink.FAINT)
        percentiles: Percentiles | None = getattr(latency, field)
        limit_ms = frame.slo.limit_ms(field)
        cells = [
            _within(attainment.within.get(field), cell)
            if column == WITHIN
            else _cell(percentiles, column, limit_ms, cell)
            for column in columns
        ]
        rows.append(line(name, padded, *cells))
    return rows


def _within(share: float | None, width: int) -> Piece:
    """The share of requests within the limit; fewer than nineteen in twenty is pointed out."""
    ink = Ink.TEXT if share is None or share >= ATTAINED else Ink.WARN
    return value(percent(share, width=width), ink)


def _cell(percentiles: Percentiles | None, column: str, slo_ms: float | None, width: int) -> Piece:
    if percentiles is None:
        return value(MISSING.rjust(width))
    if column == "count":
        return muted(count(percentiles.count, width=width))
    value_ms: float | None = getattr(percentiles, f"{column}_ms")
    ink = _ink(value_ms or 0.0, slo_ms, Ink.STRONG if column == "p95" else Ink.TEXT)
    if column == "mean":
        return value(milliseconds(value_ms, width=width), ink)
    return value(quantile_text(percentiles, value_ms, width=width), ink)


def limit_lines(moment: Moment) -> list[Threshold]:
    """A line for each limit, in the colour of what is wrong where the p95 is over it."""
    frame = moment.frame
    if frame is None:
        return []
    latency = frame.latency.get(moment.window, Latency())
    lines: list[Threshold] = []
    for name in SLO_NAMES:
        limit_ms, found = frame.slo.limit_ms(name), getattr(latency, name)
        if limit_ms is not None:
            p95_ms = 0.0 if found is None else found.p95_ms or 0.0
            ink = _ink(p95_ms, limit_ms, Ink.THRESHOLD)
            lines.append(Threshold(limit_ms, f"SLO {NAMES.get(name, name)}", ink))
    return lines


def _ink(value_ms: float, limit_ms: float | None, otherwise: Ink) -> Ink:
    return Ink.BAD if limit_ms is not None and value_ms > limit_ms else otherwise
