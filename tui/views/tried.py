"""The table of what was tried: a row for each choice of settings, and what it settled to."""

from collections.abc import Callable, Sequence

from ...engine.protocol import (
    Percentile,
    PrecisionName,
    StrategyName,
    Summary,
    describe_load,
    describe_speculation,
)
from ...engine.records.tried import Choice, Steadiness, Tried
from ..drawing.line import EMPTY, Line, Piece, in_glyphs, line, muted, wrapped
from ..style.formatting import MISSING, count, milliseconds, si
from ..style.glyphs import Glyphs
from ..style.inks import Ink
from .table import Column, table

NOTHING_YET = "nothing yet: a row comes with the first load"
LEGEND = (
    "of the last steady span under each; green: the most tokens, the shortest latencies of those "
    "that are steady"
)

_STRATEGIES, _PRECISIONS = list(StrategyName), list(PrecisionName)

Read = Callable[[Summary], float | None]


def tried_lines(
    records: Sequence[Tried], in_use: Choice | None, width: int, glyphs: Glyphs
) -> list[Line]:
    """The table in at most `width` cells, in the order of the keys, and what its figures are."""
    if not records:
        return [line(muted(NOTHING_YET))]
    rows = sorted(records, key=_place)
    head, body = table(_columns(rows, in_use, glyphs), width)
    legend = [line(muted(part)) for part in wrapped(LEGEND, width)]
    return [head, *body, EMPTY, *legend]


def _place(record: Tried) -> tuple[int, int, str, float]:
    load = record.settings.load
    drafts = describe_speculation(record.settings.speculation)
    return (
        _STRATEGIES.index(record.settings.strategy),
        _PRECISIONS.index(record.settings.precision),
        drafts,
        load.amount,
    )


def _columns(rows: Sequence[Tried], in_use: Choice | None, glyphs: Glyphs) -> list[Column]:
    settings = [row.settings for row in rows]
    drafts = any(each.speculation is not None for each in settings)
    names = [_name(row, in_use) for row in rows]
    loads = [in_glyphs(describe_load(each.load), glyphs) for each in settings]
    return [
        Column("strategy", names, right=False),
        Column("precision", [each.precision for each in settings], right=False),
        Column("load", loads, right=False),
        *([_drafts_column(settings)] if drafts else []),
        Column("tok/s", _figures(rows, _tok_s, si, highest=True)),
        Column("TTFT p50", _percentiles(rows, lambda of: of.ttft_p50, glyphs), rank=4),
        Column("TTFT p95", _percentiles(rows, lambda of: of.ttft_p95, glyphs)),
        Column("TPOT p50", _figures(rows, lambda of: of.tpot_p50_ms, milliseconds), rank=2),
        Column("E2E p95", _percentiles(rows, lambda of: of.e2e_p95, glyphs), rank=3),
        Column(
            "requests",
            [count(row.figures.requests if row.figures else None) for row in rows],
            rank=6,
        ),
        Column(
            "over",
            [f"{row.figures.span_s:.0f} s" if row.figures else MISSING for row in rows],
            rank=5,
        ),
        Column("", [_state(row) for row in rows], right=False, rank=1),
    ]


def _name(row: Tried, in_use: Choice | None) -> Piece:
    current = row.settings == in_use
    return Piece(row.settings.strategy, Ink.STRONG if current else Ink.TEXT)


def _drafts_column(settings: Sequence[Choice]) -> Column:
    cells = [str(each.speculation.drafts) if each.speculation else "0" for each in settings]
    return Column("drafts", cells, rank=7)


def _state(row: Tried) -> Piece:
    state = row.steadiness
    return muted(state) if state is Steadiness.STEADY else Piece(state, Ink.WARN)


def _tok_s(of: Summary) -> float:
    return of.decode_tok_s


def _figures(
    rows: Sequence[Tried],
    read: Read,
    words: Callable[[float | None], str],
    *,
    highest: bool = False,
) -> list[Piece]:
    values = [read(row.figures) if row.figures else None for row in rows]
    best = _best(rows, values, highest=highest)
    return [
        Piece(words(value), Ink.OK if value is not None and value == best else Ink.TEXT)
        for value in values
    ]


def _percentiles(
    rows: Sequence[Tried], read: Callable[[Summary], Percentile | None], glyphs: Glyphs
) -> list[Piece]:
    """Latencies; what is known from below says so, and is never the best."""
    found = [read(row.figures) if row.figures else None for row in rows]
    values = [None if each is None or each.at_least else each.value_ms for each in found]
    best = _best(rows, values, highest=False)
    return [
        Piece(
            percentile_text(each, glyphs),
            Ink.OK if value is not None and value == best else Ink.TEXT,
        )
        for each, value in zip(found, values, strict=True)
    ]


def percentile_text(percentile: Percentile | None, glyphs: Glyphs) -> str:
    """A latency, or from where on it is where it is known from below."""
    if percentile is None:
        return MISSING
    words = milliseconds(percentile.value_ms)
    return in_glyphs(f"≥ {words}", glyphs) if percentile.at_least else words


def _best(rows: Sequence[Tried], values: Sequence[float | None], *, highest: bool) -> float | None:
    """The best of what is steady, where there is more than one to choose from."""
    known = [
        value
        for row, value in zip(rows, values, strict=True)
        if value is not None and row.steadiness is Steadiness.STEADY
    ]
    if len(known) < 2:
        return None
    return max(known) if highest else min(known)
