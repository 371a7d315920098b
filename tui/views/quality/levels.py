"""The table of levels, never ranked; and what follows from it in a sentence."""

from collections.abc import Callable, Sequence

from ....engine.protocol import PrecisionName
from ...drawing.line import EMPTY, Line, Piece, faint, line, muted, strong, wrapped
from ...drawing.meter import gauge
from ...state.moment import Moment
from ...state.quality import Quality
from ...state.quality_advice import Keys, advice, missing
from ...state.quality_figures import (
    LevelFigures,
    conditions,
    conditions_text,
    level_figures,
    of_another,
    speed_obstacle,
)
from ...state.quality_run import VOID
from ...state.stage import Stage
from ...style.formatting import MISSING, binary_bytes, percent, si
from ...style.inks import Ink
from ..panel import Room, Row, RowsView, value
from ..table import Column, table
from .wording import change, change_interval, figure, half_width, share, small

NO_BREAK = "\N{NO-BREAK SPACE}"
SHORTEST_BAR, LONGEST_BAR = 6, 24


def levels_view(moment: Moment, room: Room, chosen: str, keys: Keys) -> RowsView:
    """A row a precision. What was not measured is missing; what cannot be says why."""
    every = level_figures(moment)
    shown = [level for level in every if level.reason is None]
    head, rows = table(_columns(shown, room, chosen), room.width - 1)
    lines = {level.precision: row for level, row in zip(shown, rows, strict=True)}
    return RowsView(
        title=_title(moment),
        figures=progress_line(moment.quality, room),
        head=(line(" ", head),),
        rows=tuple(_row(level, lines.get(level.precision), room) for level in every),
        foot=_foot(moment, shown, room, keys),
    )


def _title(moment: Moment) -> Line:
    another = of_another(moment)
    note = f"  of {another}, no longer served" if another else ""
    return line(Piece("Levels", Ink.TITLE), Piece(note, Ink.WARN))


def progress_line(quality: Quality, room: Room) -> Line:
    """How far measuring is, or how the last run ended where it did not reach its end."""
    if not quality.running:
        words = {Stage.CANCELLED: "cancelled", Stage.FAILED: "not finished"}.get(quality.run, "")
        return line(Piece(words, Ink.WARN))
    if quality.run is Stage.CANCELLING:
        return line(Piece("stopping", Ink.WARN))
    doing = Piece(quality.doing, Ink.MARK)
    if quality.fraction is None:
        return line(doing)
    cells = min(LONGEST_BAR, room.width // 4)
    bar = gauge(quality.fraction, cells, room.glyphs) if cells >= SHORTEST_BAR else EMPTY
    return line(doing, " ", bar, Piece(f" {percent(quality.fraction)}", Ink.STRONG))


def _row(level: LevelFigures, shown: Line | None, room: Room) -> Row:
    if shown is not None:
        return Row(line(" ", shown), level.precision)
    reason = (level.reason or "").removeprefix(f"{level.precision} ")
    words = line(" ", faint(f"{level.precision:<6}"), muted(reason))
    return Row(room.clipped(words))


def _columns(levels: Sequence[LevelFigures], room: Room, chosen: str) -> list[Column]:
    """The least needed go first where there is no room: rank 0 stays."""
    return [
        Column("level", [_name(level, chosen, room) for level in levels], right=False),
        Column("bits", [_or_missing(level.bits, _bits) for level in levels], rank=8),
        Column("weights", [_weights(level) for level in levels], rank=1),
        Column("tok/s", [value(_speed(level)) for level in levels], rank=2),
        Column("perplexity", [_perplexity(level) for level in levels], rank=3),
        Column("± 95 %" if room.glyphs.unicode else "+- 95 %", _half_widths(levels), rank=7),
        Column("change", [_change(level) for level in levels]),
        Column("change, 95 %", [_change_interval(level, room) for level in levels], rank=11),
        Column("KL mean", [_divergence(level, "kl_mean") for level in levels], rank=6),
        Column("KL 99.9 %", [_divergence(level, "kl_p999") for level in levels], rank=10),
        Column("same top", [_divergence(level, "same_top") for level in levels], rank=5),
        Column("retention", [_or_missing(level.retention, share) for level in levels], rank=4),
        Column("parts at", [value(_parts_at(level)) for level in levels], rank=9),
    ]


def _bits(bits: float) -> str:
    return f"{bits:.3g}"


def _name(level: LevelFigures, chosen: str, room: Room) -> Line:
    """The one shown beside the table stands out; the one that serves has a dot."""
    ink = Ink.STRONG if level.precision == chosen else Ink.TEXT
    served = Piece(room.glyphs.recording if level.served else " ", Ink.OK)
    click = f"screen.choose('{level.precision}')"
    return line(Piece(f"{level.precision:<4}", ink, click), served)


def _or_missing(number: float | None, words: Callable[[float], str]) -> Piece:
    return value(MISSING if number is None else words(number))


def _weights(level: LevelFigures) -> Piece:
    return value(binary_bytes(level.measured.weights_bytes) if level.measured else MISSING)


def _speed(level: LevelFigures) -> str:
    return si(level.speed.tok_s if level.speed else None)


def _perplexity(level: LevelFigures) -> Piece:
    return value(figure(level.measured.perplexity.value) if level.measured else MISSING)


def _half_widths(levels: Sequence[LevelFigures]) -> list[Piece]:
    return [
        muted(half_width(level.measured.perplexity)) if level.measured else value(MISSING)
        for level in levels
    ]


def _change(level: LevelFigures) -> Piece:
    if level.measured is None:
        return value(MISSING)
    differs = level.measured.differs
    return Piece(change(level.measured), Ink.STRONG if differs else Ink.MUTED)


def _change_interval(level: LevelFigures, room: Room) -> Piece:
    if level.measured is None:
        return value(MISSING)
    text = change_interval(level.measured)
    return muted(text if room.glyphs.unicode else text.replace("…", ".."))


def _divergence(level: LevelFigures, name: str) -> Piece:
    """Of the reference there is none: it diverges from nothing."""
    found = level.measured.divergence if level.measured else None
    if found is None:
        return value(MISSING)
    texts = {
        "kl_mean": small(found.kl_mean.value),
        "kl_p999": small(found.kl_p999),
        "same_top": share(found.same_top.value),
    }
    return value(texts[name])


def _parts_at(level: LevelFigures) -> str:
    if level.greedy is None or level.is_reference:
        return MISSING
    return "never" if level.greedy.parts_at is None else f"token {level.greedy.parts_at}"


def _foot(
    moment: Moment, levels: Sequence[LevelFigures], room: Room, keys: Keys
) -> tuple[Line, ...]:
    """What the figures are of."""
    quality, where = moment.quality, conditions(moment)
    if quality.running:
        return (room.clipped(line(" ", Piece(VOID, Ink.WARN))),)
    first = next((level.measured for level in levels if level.measured), None)
    if first is None:
        facts = [line(Piece(keys.begin, Ink.ACCENT), muted(" measures quality"))]
    else:
        scored = f"{first.scored_tokens:,} tokens scored, against {first.reference}"
        facts = [line(muted(scored))]
    if where is not None:
        facts.append(line(muted(f"tok/s at {conditions_text(where)}")))
    return (line(" ", room.facts(facts)),)


def advice_view(moment: Moment, room: Room, keys: Keys) -> RowsView:
    """The recommendation, and below it what is missing."""
    every, quality = level_figures(moment), moment.quality
    width = max(10, room.width - 2)
    rows = [Row(line(" ", strong(text))) for text in _kept(advice(quality, every, keys), width)]
    notes = missing(quality, every, keys, speed_obstacle(moment))
    alike = [each for each in every if each.measured and each.measured.differs is False]
    if len(alike) > 1:
        notes.append("levels without a measured difference are not ranked among themselves")
    rows += [Row(line(" ", muted(text))) for note in notes for text in _kept(note, width)]
    return RowsView(title=line(Piece("What follows", Ink.TITLE)), rows=tuple(rows))


def _kept(text: str, width: int) -> list[str]:
    """Wrapped, with every percentage in one piece."""
    rows = wrapped(text.replace(" %", f"{NO_BREAK}%"), width)
    return [row.replace(NO_BREAK, " ") for row in rows]


def level_names(moment: Moment) -> tuple[PrecisionName, ...]:
    """The levels that can be shown: those that the table has a row of figures for."""
    return tuple(level.precision for level in level_figures(moment) if level.reason is None)
