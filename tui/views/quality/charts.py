"""Memory against quality, bars of what each level takes and gives, and the efficiency score."""

from collections.abc import Callable, Sequence

from ...drawing.line import Line, Piece, line, muted
from ...drawing.meter import gauge
from ...drawing.scatter import Axes, Point, scatter
from ...state.moment import Moment
from ...state.quality_advice import Keys
from ...state.quality_figures import (
    KEEPS_MOST,
    KEEPS_MUCH,
    LevelFigures,
    conditions,
    conditions_text,
    level_figures,
)
from ...style.formatting import MISSING, binary_bytes, percent, rate, si
from ...style.glyphs import Glyphs
from ...style.inks import SERIES_INKS, Ink
from ..panel import Room, Row, RowsView, value
from ..table import Column, table
from .wording import share

MARGIN = 0.012
"""Of quality, above the best level and below the worst."""
WIDEST_BAR = 24


def tradeoff_view(moment: Moment, room: Room, keys: Keys) -> RowsView:
    """Bytes of the weights to the right, what is kept of the quality upwards; the label has the
    speed where it was measured."""
    title = line(Piece("Memory and quality", Ink.TITLE))
    every = level_figures(moment)
    points = [_point(level, index) for index, level in enumerate(every) if level.measured]
    if not points:
        return RowsView(title, rows=(Row(_unmeasured(moment, keys)),))
    lowest = min(point.y if point.low is None else point.low for point in points)
    highest = max(point.y if point.high is None else point.high for point in points)
    axes = Axes(
        x_end=1.15 * max(point.x for point in points),
        y_start=min(lowest, KEEPS_MUCH) - MARGIN,
        y_end=max(highest, 1.0) + MARGIN,
        levels=((1.0, Ink.FAINT), (KEEPS_MOST, Ink.THRESHOLD), (KEEPS_MUCH, Ink.THRESHOLD)),
        x_text=binary_bytes,
        y_text=percent,
    )
    lines = scatter(points, axes, room.width - 1, max(4, room.height), room.glyphs)
    return RowsView(
        title,
        figures=line(muted("perplexity kept, 95 % intervals; memory of the weights")),
        head=tuple(line(" ", each) for each in lines),
    )


def _point(level: LevelFigures, index: int) -> Point:
    measured = level.measured
    if measured is None or level.retention is None:
        raise ValueError("a point is drawn of what was measured")
    ratio = measured.ratio
    speed = "" if level.speed is None else f" {rate(level.speed.tok_s, 'tok')}"
    return Point(
        x=measured.weights_bytes,
        y=level.retention,
        label=f"{level.precision}{speed}",
        ink=SERIES_INKS[index % len(SERIES_INKS)],
        low=None if ratio is None else 1 / ratio.high,
        high=None if ratio is None else 1 / ratio.low,
    )


def _unmeasured(moment: Moment, keys: Keys) -> Line:
    if moment.quality.running:
        return line(" ", muted("the first level is being measured"))
    return line(" ", Piece(keys.begin, Ink.ACCENT), muted(" measures quality"))


def bars_view(moment: Moment, room: Room) -> RowsView:
    """Memory, speed and quality of every level, each from 0 to the most there is."""
    levels = [level for level in level_figures(moment) if level.reason is None]
    texts: list[tuple[str, Callable[[LevelFigures], float | None], Callable[[float], str]]] = [
        ("memory", _weights_bytes, binary_bytes),
        ("tok/s", _tok_s, si),
        ("quality", lambda level: level.retention, share),
    ]
    cells = min(WIDEST_BAR, max(3, (room.width - 9) // 3 - 11))
    columns = [Column("level", [level.precision for level in levels], right=False)]
    for name, read, words in texts:
        amounts = [read(level) for level in levels]
        most = max((amount for amount in amounts if amount is not None), default=0.0)
        columns += _bar_columns(name, amounts, most, words, cells, room.glyphs)
    head, rows = table(columns, room.width - 1)
    return RowsView(
        title=line(Piece("Memory, speed, quality", Ink.TITLE)),
        figures=line(muted(conditions_text(conditions(moment)))),
        head=(line(" ", head),),
        rows=tuple(Row(line(" ", row)) for row in rows),
    )


def _weights_bytes(level: LevelFigures) -> float | None:
    return None if level.measured is None else level.measured.weights_bytes


def _tok_s(level: LevelFigures) -> float | None:
    return None if level.speed is None else level.speed.tok_s


def _bar_columns(
    name: str,
    amounts: Sequence[float | None],
    most: float,
    words: Callable[[float], str],
    cells: int,
    glyphs: Glyphs,
) -> list[Column]:
    bars = [
        gauge(None if amount is None or not most else amount / most, cells, glyphs)
        for amount in amounts
    ]
    texts = [value(MISSING if amount is None else words(amount)) for amount in amounts]
    return [Column(name, bars, right=False, rank=1), Column("", texts)]


def _loss(level: LevelFigures) -> Piece:
    """One that was not measured counts as none."""
    if level.measured is None or level.loss_percent is None:
        return value(MISSING)
    return value(f"{level.loss_percent:.2f} %") if level.measured.differs else muted("none")


def efficiency_view(moment: Moment, room: Room, keys: Keys) -> RowsView:
    """The score beside its parts; without a measured speed there is none."""
    levels = [level for level in level_figures(moment) if level.reason is None]
    times = room.glyphs.times

    def factor(number: float | None) -> Piece:
        return value(MISSING if number is None else f"{number:.2f}{times}")

    scores = [level.efficiency for level in levels]
    columns = [
        Column("level", [level.precision for level in levels], right=False),
        Column("compression", [factor(level.compression) for level in levels]),
        Column("speedup", [factor(level.speedup) for level in levels]),
        Column("loss", [_loss(level) for level in levels]),
        Column(
            "score",
            [value(MISSING if x is None else f"{x:.2f}", Ink.STRONG) for x in scores],
        ),
    ]
    head, rows = table(columns, room.width - 1)
    formula = f"compression {times} speedup / (1 + loss % / 10)"
    lacking = any(level.measured and level.speed is None for level in levels)
    foot = [room.clipped(line(" ", muted(formula)))]
    if lacking:
        words = muted(" measures the speed of the level shown")
        foot.append(room.clipped(line(" ", Piece(keys.serve, Ink.ACCENT), words)))
    return RowsView(
        title=line(Piece("Efficiency", Ink.TITLE)),
        head=(line(" ", head),),
        rows=tuple(Row(line(" ", row)) for row in rows),
        foot=tuple(foot),
    )
