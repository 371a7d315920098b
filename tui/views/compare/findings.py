"""What the comparison shows: bars of the measured cells, findings in words, a recommendation."""

from collections.abc import Sequence

from ....engine.compare.cells import Comparison
from ....engine.compare.insights import EFFICIENCY, LATENCY, THROUGHPUT, insights
from ....engine.compare.matrix import matrix, sorted_rows
from ....engine.compare.metrics import METRICS, Metric
from ....engine.compare.recommend import Wishes, recommend
from ....engine.compare.samples import Limits
from ....engine.compare.wording import figure as worded
from ...drawing.line import Line, Piece, in_glyphs, line, muted, strong, wrapped
from ...drawing.meter import gauge
from ...style.inks import Ink
from ..panel import Room, Row, RowsView

BARS = ((LATENCY, "Latency"), (THROUGHPUT, "Throughput"), (EFFICIENCY, "Efficiency"))
"""The metrics that bars are drawn of, and what each is called."""
THREE_FROM = 100
NAME_CELLS, FIGURE_CELLS = 16, 9


def bars_view(comparison: Comparison | None, room: Room) -> RowsView:
    """Bars of latency, throughput and efficiency, the best by its median first; side by side where
    there is room."""
    title = line(Piece("Bars", Ink.TITLE), muted("  best first, by median"))
    if comparison is None or not comparison.measured():
        return RowsView(title=title, rows=(Row(line(" ", muted("nothing measured yet"))),))
    columns = len(BARS) if room.width >= THREE_FROM else 1
    width = (room.width - 1) // columns
    groups = [_group(comparison, METRICS[name], words, width, room) for name, words in BARS]
    if columns == 1:
        rows = [each for group in groups for each in group]
        return RowsView(title=title, rows=tuple(Row(line(" ", each)) for each in rows))
    longest = max(map(len, groups))
    padded = [[*group, *[line("")] * (longest - len(group))] for group in groups]
    rows = [line(" ", *(each.fitted(width) for each in row)) for row in zip(*padded, strict=True)]
    return RowsView(title=title, rows=tuple(Row(each) for each in rows))


def _group(
    comparison: Comparison, metric: Metric, words: str, width: int, room: Room
) -> Sequence[Line]:
    rows = sorted_rows(matrix(comparison, [metric]).rows, metric)
    found = [(row.label, each.median) for row in rows for each in row.entries if each.median]
    most = max((median.value for _, median in found), default=0.0)
    way = "more" if metric.higher_is_better else "less"
    unit = "" if metric.unit.value in metric.label else f" {metric.unit.value}"
    head = f"{words}: {metric.label}{unit}, {way} is better"
    cells = max(4, width - NAME_CELLS - FIGURE_CELLS - 3)
    lines = [line(muted(in_glyphs(head, room.glyphs)))]
    for name, median in found:
        bar = gauge(median.value / most if most else None, cells, room.glyphs)
        amount = worded(median.value, metric.unit, with_unit=False)
        lines.append(line(f"{name:<{NAME_CELLS}}", bar, " ", strong(amount.rjust(FIGURE_CELLS))))
    return lines


def findings_view(comparison: Comparison | None, limits: Limits, room: Room) -> RowsView:
    """The recommendation under the limits, then every finding."""
    title = line(Piece("Findings", Ink.TITLE))
    if comparison is None or not comparison.measured():
        return RowsView(title=title, rows=(Row(line(" ", muted("nothing measured yet"))),))
    rows = [*_recommendation(comparison, limits, room)]
    for each in insights(comparison, limits):
        rows += _item(each.text, room, Ink.TEXT)
    return RowsView(title=title, rows=tuple(Row(each) for each in rows))


def _recommendation(comparison: Comparison, limits: Limits, room: Room) -> Sequence[Line]:
    """Which cell to take, why, and what the next one lacks."""
    found = recommend(comparison, Wishes(limits=limits))
    given = ", ".join(
        f"{name.removesuffix('_ms').upper()} {value:g} ms" for name, value in limits.given().items()
    )
    under = f" under {given}" if given else " (no limits in [slo])"
    if found.best is None:
        return _item(f"take: none{under}; {found.why}", room, Ink.WARN)
    text = f"take {found.best.label}{under}: {found.why}"
    if found.runner_up is not None and found.runner_up_lacks is not None:
        text += f". Next: {found.runner_up.label}, {found.runner_up_lacks}"
    if found.needs:
        text += f". It needs {found.needs}"
    return _item(text, room, Ink.STRONG)


def _item(text: str, room: Room, ink: Ink) -> list[Line]:
    """A text behind a bullet, wrapped."""
    rows = wrapped(in_glyphs(text, room.glyphs), room.width - 4)
    first, *others = rows
    return [
        line(" ", Piece(f"{room.glyphs.bullet} ", Ink.ACCENT), Piece(first, ink)),
        *(line("   ", Piece(each, ink)) for each in others),
    ]
