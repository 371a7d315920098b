"""The latency table: six latencies by three percentiles over the chosen window."""

from ...engine.protocol import Latency, Percentiles
from ..drawing.line import Line, Piece, line, muted
from ..state.moment import Moment
from ..style.formatting import MISSING, count, milliseconds
from ..style.inks import Ink
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

_NAME_WIDTH = 6
_CELL_WIDTH = 9
_MEANING_WIDTH = 22


def latency_view(moment: Moment, room: Room) -> PanelView:
    """The table and, on the frame, the TTFT that most requests stay under."""
    frame = moment.frame
    if frame is None:
        return PanelView(titled("Latency", moment), lines=(waiting_line(moment, room),))
    latency = frame.latency.get(moment.window, Latency())
    ttft = latency.ttft
    over = _over(ttft, moment.slo_ttft_ms)
    key_figure = figure(
        "TTFT p95", milliseconds(ttft.p95_ms if ttft else None), Ink.BAD if over else Ink.STRONG
    )
    return PanelView(
        windowed("Latency", moment),
        key_figure,
        tuple(_table(latency, moment, room)),
        moment.stale_s is not None,
    )


def _table(latency: Latency, moment: Moment, room: Room) -> list[Line]:
    columns = ["p50", "p95", "p99"]
    width_left = room.width - _NAME_WIDTH - len(columns) * _CELL_WIDTH
    if width_left >= _CELL_WIDTH:
        columns.append("mean")
        width_left -= _CELL_WIDTH
    if width_left >= _CELL_WIDTH:
        columns.append("count")
        width_left -= _CELL_WIDTH
    meanings = width_left >= _MEANING_WIDTH
    name_width = _NAME_WIDTH + (_MEANING_WIDTH if meanings else 0)
    # What is left over widens the cells, so that the table fills its panel.
    cell = min(14, (room.width - name_width) // len(columns))
    name_width = room.width - cell * len(columns)
    rows = [line(" " * name_width, *(Piece(column.rjust(cell), Ink.MUTED) for column in columns))]
    for field in ROWS:
        name = Piece(NAMES.get(field, field).ljust(_NAME_WIDTH), Ink.TEXT)
        meaning = MEANINGS[field] if meanings else ""
        padded = Piece(meaning.ljust(name_width - _NAME_WIDTH), Ink.FAINT)
        percentiles: Percentiles | None = getattr(latency, field)
        slo_ms = {"ttft": moment.slo_ttft_ms, "tpot": moment.slo_tpot_ms}.get(field)
        cells = [_cell(percentiles, column, slo_ms, cell) for column in columns]
        rows.append(line(name, padded, *cells))
    return rows


def _cell(percentiles: Percentiles | None, column: str, slo_ms: float | None, width: int) -> Piece:
    if percentiles is None:
        return value(MISSING.rjust(width))
    if column == "count":
        return muted(count(percentiles.count, width=width))
    value_ms: float = getattr(percentiles, f"{column}_ms")
    over = slo_ms is not None and value_ms > slo_ms
    ink = Ink.BAD if over else Ink.STRONG if column == "p95" else Ink.TEXT
    return value(milliseconds(value_ms, width=width), ink)


def _over(percentiles: Percentiles | None, slo_ms: float | None) -> bool:
    return percentiles is not None and slo_ms is not None and percentiles.p95_ms > slo_ms
