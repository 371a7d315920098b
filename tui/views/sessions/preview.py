"""What is shown of the file under the cursor: its figures, latencies, curves and events."""

from ....engine.protocol import Percentiles
from ....engine.protocol.wording import counted
from ....engine.records.kept.rows import Facts, KeptRow, Kind
from ...drawing.line import EMPTY, Line, Piece, line, muted, strong
from ...drawing.meter import bars
from ...style.formatting import (
    MISSING,
    binary_bytes,
    duration,
    milliseconds,
    rate,
    short_path,
)
from ...style.inks import Ink
from ..panel import Room, Row, RowsView
from .listing import time_text

LABEL_CELLS = 10
CURVE_NAMES = {"decode_tok_s": "decode", "ttft_p95_ms": "TTFT p95", "in_system": "in system"}
LATENCIES = ("ttft", "ttfb", "tpot", "itl", "e2e", "queue")


def preview_view(row: KeptRow | None, room: Room) -> RowsView:
    """The panel of the preview."""
    title = line(Piece("Preview", Ink.TITLE))
    if row is None:
        return RowsView(title=title, rows=(Row(EMPTY),))
    size = line(Piece(binary_bytes(row.size_bytes), Ink.STRONG))
    lines = _problem(row, room) if row.facts is None else _facts(row, row.facts, room)
    return RowsView(
        title=title, figures=size, rows=tuple(Row(room.clipped(each)) for each in lines)
    )


def _labelled(label: str, *pieces: Piece | str | Line) -> Line:
    return line(muted(f" {label.ljust(LABEL_CELLS)}"), *pieces)


def _problem(row: KeptRow, room: Room) -> list[Line]:
    return [
        _labelled("file", short_path(row.path)),
        EMPTY,
        line(Piece(f" this {row.kind} cannot be opened:", Ink.BAD)),
        line(" ", row.problem),
    ]


def _facts(row: KeptRow, facts: Facts, room: Room) -> list[Line]:
    what = "recorded" if row.kind is Kind.RECORDING else "saved"
    when = time_text(facts.wall_s)
    if facts.length_s is not None:
        when += f", {duration(facts.length_s)} long"
    if facts.in_use:
        when += ", being recorded"
    lines = [
        *((_labelled("name", strong(facts.label)),) if facts.label else ()),
        _labelled(what, when),
        _labelled("served", strong(facts.model), muted("  on "), facts.device),
        _labelled("as", f"{facts.strategy}, {facts.precision}"),
        _labelled(
            "figures",
            strong(rate(facts.decode_tok_s, "tok")),
            muted("  "),
            MISSING
            if facts.requests is None
            else f"{counted(facts.requests, 'request', grouped=True)} ended",
        ),
        _labelled("id", row.id),
        _labelled("file", short_path(row.path)),
        _labelled("prodtop", facts.version or MISSING),
        EMPTY,
        *_latencies(facts),
        EMPTY,
        *_curves(facts, room),
    ]
    return [*lines, *(line(muted(f" {text}")) for text in reversed(facts.events))]


def _latencies(facts: Facts) -> list[Line]:
    latency = facts.latency
    heading = "".join(name.rjust(10) for name in ("p50", "p95", "p99", "mean"))
    lines = [line(muted(f" {facts.window.ljust(LABEL_CELLS)}{heading}"))]
    for name in LATENCIES:
        part: Percentiles | None = None if latency is None else getattr(latency, name)
        values: list[float | None] = [None] * 4
        if part is not None:
            values = [part.p50_ms, part.p95_ms, part.p99_ms, part.mean_ms]
        shown = "".join(milliseconds(value, width=10) for value in values)
        lines.append(_labelled(name.upper() if name != "queue" else name, shown))
    return lines


def _curves(facts: Facts, room: Room) -> list[Line]:
    lines: list[Line] = []
    for name, label in CURVE_NAMES.items():
        values = [max(0.0, value) for value in facts.curves.get(name, [])]
        cells = max(0, room.width - LABEL_CELLS - 2)
        if values and cells:
            lines.append(_labelled(label, bars(values[-cells:], 1, room.glyphs, Ink.ACCENT)[0]))
    return [*lines, EMPTY] if lines else []
