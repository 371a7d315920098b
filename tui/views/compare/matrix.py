"""The matrix: a row a strategy, a column a precision, each cell between the worst and the best."""

from collections.abc import Callable

from ....engine.compare.median import Verdict
from ....engine.compare.metrics import Metric
from ....engine.compare.tables import heading
from ....engine.compare.wording import Unit, digits
from ....engine.compare.wording import figure as worded
from ...drawing.line import EMPTY, Line, Piece, clipped, in_glyphs, line, muted, strong
from ...state.compare import Compare
from ...state.compare_table import Spot, Table
from ...state.stage import Stage
from ...style.formatting import MISSING, si, span
from ...style.glyphs import Glyphs
from ...style.inks import Ink
from ..panel import Room, Row, RowsView

NAME_CELLS = 11
NARROWEST, WIDEST = 6, 20
HEAT_INKS = (Ink.BAD, Ink.WARN, Ink.TEXT, Ink.OK)
"""From the worst to the best; the sign before the figure says the same without colour."""
LIVE = "~"
MARKED = {
    Verdict.NO_DIFFERENCE: "= no difference",
    Verdict.UNDECIDED: "? too few repeats",
}

Words = Callable[[Spot, Metric], str]


def matrix_view(
    compare: Compare, table: Table, cursor: tuple[int, int], room: Room, begin_key: str
) -> RowsView:
    """The whole matrix by its metric; what is in a cell is explained by `cell_view`."""
    cells = max(len(table.columns), 1)
    width = min(max((room.width - 1 - NAME_CELLS) // cells, NARROWEST), WIDEST)
    words = _fitting(table, width - 2)
    rows = [
        Row(room.clipped(_row(table, number, cursor, width, words, room)))
        for number in range(len(table.rows))
    ]
    head = line(" " * (NAME_CELLS + 1), *(muted(name.rjust(width)) for name in table.columns))
    return RowsView(
        title=line(Piece("Matrix", Ink.TITLE), muted(f"  {_heading(table.metric, room)}")),
        figures=progress_line(compare, room),
        head=(room.clipped(head),),
        rows=tuple(rows),
        foot=(EMPTY, room.clipped(_legend(table, room, begin_key))),
    )


def progress_line(compare: Compare, room: Room) -> Line:
    """How far the sweep is with the time left, or how it ended."""
    progress = compare.progress
    if compare.stage is Stage.NONE:
        return line(muted("not measured"))
    if not compare.running or progress is None:
        inks = {Stage.DONE: Ink.MUTED, Stage.FAILED: Ink.BAD}
        return line(
            Piece(
                clipped(line(compare.ended), 40, room.glyphs).plain,
                inks.get(compare.stage, Ink.WARN),
            )
        )
    if compare.stage is Stage.CANCELLING:
        return line(Piece("stopping", Ink.WARN))
    left = "" if progress.left_s is None else f", {span(progress.left_s)} left"
    doing = f"{progress.cell}  " if progress.cell and room.width > 60 else ""
    return line(
        Piece(doing, Ink.MARK), strong(f"{progress.done_cells}/{progress.cells}"), muted(left)
    )


def _heading(metric: Metric, room: Room) -> str:
    return in_glyphs(heading(metric), room.glyphs)


def _row(
    table: Table, number: int, cursor: tuple[int, int], width: int, words: Words, room: Room
) -> Line:
    name = table.rows[number]
    pieces = [Piece(f" {name:<{NAME_CELLS}}", Ink.STRONG if cursor[0] == number else Ink.TEXT)]
    for column, precision in enumerate(table.columns):
        spot, here = table.spots[name, precision], cursor == (number, column)
        sign, text, ink = _spot(spot, table, words, room.glyphs)
        body = f"{sign}{in_glyphs(text, room.glyphs)}"[: width - 1]
        pointer = room.glyphs.pointer if here else _mark(spot, table, room.glyphs)
        click = f"screen.cell({number}, {column})"
        pieces.append(Piece(f"{pointer:>{width - len(body)}}", Ink.ACCENT, click))
        pieces.append(Piece(body, Ink.SELECTED if here else ink, click))
    return line(*pieces)


def _mark(spot: Spot, table: Table, glyphs: Glyphs) -> str:
    """What stands before the baseline."""
    return glyphs.bullet if spot.place == table.baseline else " "


def _spot(spot: Spot, table: Table, words: Words, glyphs: Glyphs) -> tuple[str, str, Ink]:
    """The sign, the text and the ink of one cell."""
    if spot.median is not None:
        text = words(spot, table.metric) + ("!" if spot.failure is not None else "")
        if spot.heat is None:
            return "", text, Ink.TEXT
        return shade(spot.heat, glyphs), text, heat_ink(spot.heat)
    if spot.failure is not None:
        return "", "FAILED", Ink.BAD
    if spot.live is not None:
        value, at_least = spot.live
        bound = ">" if at_least else ""
        return LIVE, bound + _short(value, table.metric), Ink.MUTED
    if spot.skipped is not None:
        return "", "skip", Ink.FAINT
    return "", MISSING, Ink.FAINT


def shade(heat: float, glyphs: Glyphs) -> str:
    """Fuller where it is better."""
    return glyphs.shades[min(int(heat * len(glyphs.shades)), len(glyphs.shades) - 1)]


def heat_ink(heat: float) -> Ink:
    return HEAT_INKS[min(int(heat * len(HEAT_INKS)), len(HEAT_INKS) - 1)]


def _fitting(table: Table, width: int) -> Words:
    """The fullest words that fit into every cell: figure and spread or factor, then less."""
    beside = table.baseline is not None
    ways = [_long_beside, _short_beside, _factor] if beside else [_long_spread, _short_spread]
    spots = [spot for spot in table.spots.values() if spot.median is not None]
    for way in (*ways, _short_alone):
        if all(
            len(way(spot, table.metric)) + (spot.failure is not None) <= width for spot in spots
        ):
            return way
    return _factor if beside else _short_alone


def _long(value: float, metric: Metric) -> str:
    return worded(value, metric.unit, with_unit=False)


def _short(value: float, metric: Metric) -> str:
    """Few characters: `17.9k`, `1.5GiB`, `87%`."""
    if metric.unit in (Unit.BYTES, Unit.FRACTION, Unit.FACTOR):
        return worded(value, metric.unit).replace(" ", "")
    return si(value).replace(" ", "")


def _value(spot: Spot) -> float:
    return spot.median.value if spot.median is not None else float("nan")


def spread(spot: Spot) -> str:
    """`±2%`; empty for one repeat."""
    found = spot.median
    if found is None or found.count < 2 or found.spread is None:
        return ""
    return f"±{100 * found.spread:.2g}%" if found.spread < 0.995 else f"±{found.spread:.0%}"


def factor(spot: Spot) -> str:
    """`×1.23` of the baseline; `=` after it where no difference was measured, `?` where there are
    too few repeats to say."""
    if spot.entry.relative is None:
        return ""
    marks = {Verdict.NO_DIFFERENCE: "=", Verdict.UNDECIDED: "?"}
    mark = marks.get(spot.entry.verdict, "") if spot.entry.verdict is not None else ""
    return f"×{digits(spot.entry.relative)}{mark}"


def _long_spread(spot: Spot, metric: Metric) -> str:
    return f" {_long(_value(spot), metric)} {spread(spot)}".rstrip()


def _short_spread(spot: Spot, metric: Metric) -> str:
    return _short(_value(spot), metric) + spread(spot)


def _long_beside(spot: Spot, metric: Metric) -> str:
    return f" {_long(_value(spot), metric)} {factor(spot)}".rstrip()


def _short_beside(spot: Spot, metric: Metric) -> str:
    return f"{_short(_value(spot), metric)} {factor(spot)}".rstrip()


def _factor(spot: Spot, metric: Metric) -> str:
    return factor(spot) or _short(_value(spot), metric)


def _short_alone(spot: Spot, metric: Metric) -> str:
    return _short(_value(spot), metric)


def _legend(table: Table, room: Room, begin_key: str) -> Line:
    """What the signs mean, as many as there are."""
    spots = list(table.spots.values())
    parts: list[Line] = []
    if any(spot.median is None and not (spot.skipped or spot.failure) for spot in spots):
        key = begin_key or "'measure' in the palette"
        parts.append(
            line(muted(f"{MISSING} not measured: "), Piece(key, Ink.ACCENT), muted(" measures"))
        )
    if any(spot.heat is not None for spot in spots):
        scale = "".join(room.glyphs.shades)
        parts.append(line(muted(f"worst {scale} best")))
    if any(spot.live is not None for spot in spots):
        parts.append(line(muted(f"{LIVE} served live, not ranked")))
    if table.baseline is not None:
        words = f"× of {room.glyphs.bullet} {' '.join(table.baseline)}"
        parts.append(line(muted(in_glyphs(words, room.glyphs))))
        verdicts = {spot.entry.verdict for spot in spots if spot.place != table.baseline}
        parts += [line(muted(words)) for verdict, words in MARKED.items() if verdict in verdicts]
    if any(spot.failure is not None and spot.median is not None for spot in spots):
        parts.append(line(muted("! failed later")))
    return line(" ", room.facts(parts))
