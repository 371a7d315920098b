"""Charts of a comparison as inline SVG: bars with intervals, scatter, and load curves.

Colours are classes of the report's style sheet; every mark has a `<title>` with its figures.
"""

import html
import math
import re
from collections.abc import Sequence

import msgspec

from ..text.cleaning import clean
from .curves import Curve
from .median import Median
from .metrics import METRICS, Metric
from .wording import digits, figure

WIDTH, ROW, LEFT, TOP = 640, 22, 200, 8
PLOT_HEIGHT, MARGIN, LINE = 320, 48, 13
COLORS = 8
"""Classes `c0` … `c7` that the style sheet has; more lines begin again, with another dash."""

_NO_XML = re.compile("[\ufffe\uffff]")


def escaped(text: str) -> str:
    """Text from anywhere as HTML and XML may hold it."""
    return html.escape(_NO_XML.sub("", clean(text)))


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A named point with its intervals; `bold`: on the Pareto front, or the knee."""

    name: str
    x: Median
    y: Median
    bold: bool = False


def bars(metric: Metric, named: Sequence[tuple[str, Median | None]]) -> str:
    """A bar for each cell from 0, with the interval as a line; a cell without a value has none."""
    most = max((found.high for _, found in named if found is not None), default=0.0)
    height = TOP * 2 + ROW * len(named)
    room = WIDTH - LEFT - 110
    parts = [_open(height, f"{metric.label} of each cell")]
    for number, (name, found) in enumerate(named):
        y = TOP + number * ROW
        parts.append(_text(LEFT - 8, y + 15, name, "end"))
        if found is None:
            parts.append(_text(LEFT + 4, y + 15, "--", "start"))
            continue
        low, value, high = (
            LEFT + (room * max(each, 0.0) / most if most > 0 else 0.0)
            for each in (found.low, found.value, found.high)
        )
        words = _words(metric, found)
        parts.append(
            f"<g><title>{escaped(f'{name}: {words}')}</title>"
            f'<rect class="bar" x="{LEFT}" y="{y + 3}" width="{value - LEFT:.1f}"'
            f' height="{ROW - 7}"/>'
            f'<line class="interval" x1="{low:.1f}" x2="{high:.1f}" y1="{y + 11}" y2="{y + 11}"/>'
            "</g>"
        )
        parts.append(_text(high + 6, y + 15, figure(found.value, metric.unit), "start"))
    return "".join([*parts, "</svg>"])


def scatter(x: Metric, y: Metric, marks: Sequence[Mark]) -> str:
    """A point for each cell, with both intervals."""
    plot = _Plot.around([mark.x for mark in marks], [mark.y for mark in marks])
    parts = [_open(PLOT_HEIGHT, f"{x.label} against {y.label}"), plot.frame(x, y)]
    parts += (_mark(plot, mark, 0, x, y) for mark in marks)
    named = sorted((mark for mark in marks if mark.bold), key=lambda mark: plot.y(mark.y.value))
    y_least = 0.0
    for mark in named:
        # One below the other where points lie close.
        y_text = max(plot.y(mark.y.value) - 6, y_least)
        y_least = y_text + LINE
        parts.append(_text(plot.x(mark.x.value) + 8, y_text, mark.name, "start"))
    return "".join([*parts, "</svg>"])


def load_curves(found: Sequence[Curve]) -> str:
    """Requests a second against latency, a line each curve; the knee is a larger mark."""
    req_s, latency = METRICS["req_s"], METRICS[found[0].latency]
    lines = [
        [
            Mark(
                name=f"{curve.label}, {point.label}",
                x=point.req_s,
                y=point.latency_ms,
                bold=curve.knee is not None and index == curve.knee.best,
            )
            for index, point in enumerate(curve.points)
            if point.latency_ms is not None
        ]
        for curve in found
    ]
    every = [mark for line in lines for mark in line]
    plot = _Plot.around([mark.x for mark in every], [mark.y for mark in every])
    parts = [_open(PLOT_HEIGHT + 18 * len(found), "Load curves"), plot.frame(req_s, latency)]
    for number, (curve, line) in enumerate(zip(found, lines, strict=True)):
        points = " ".join(f"{plot.x(m.x.value):.1f},{plot.y(m.y.value):.1f}" for m in line)
        style = f'class="line c{number % COLORS}" stroke-dasharray="{_dash(number)}"'
        parts.append(f'<polyline {style} points="{points}"/>')
        parts += (_mark(plot, mark, number, req_s, latency) for mark in line)
        y = PLOT_HEIGHT + 18 * number + 6
        parts.append(f'<line {style} x1="{MARGIN}" x2="{MARGIN + 30}" y1="{y - 4}" y2="{y - 4}"/>')
        parts.append(_text(MARGIN + 38, y, curve.label, "start"))
    return "".join([*parts, "</svg>"])


def ticks(least: float, most: float) -> list[float]:
    """Round numbers in steps of 1, 2 or 5 that span the range, five or so."""
    if not most > least:
        return [least]
    rough = (most - least) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next((s for s in (1, 2, 5) if s * power >= rough), 10)
    first = math.ceil(least / step)
    return [n * step for n in range(first, math.floor(most / step) + 1)]


class _Plot(msgspec.Struct, frozen=True):
    """From values to places; both axes begin at 0."""

    most_x: float
    most_y: float

    @classmethod
    def around(cls, xs: Sequence[Median], ys: Sequence[Median]) -> "_Plot":
        return cls(*(max((m.high for m in each), default=0.0) * 1.1 or 1.0 for each in (xs, ys)))

    def x(self, value: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * value / self.most_x

    def y(self, value: float) -> float:
        return PLOT_HEIGHT - MARGIN - (PLOT_HEIGHT - 2 * MARGIN) * value / self.most_y

    def frame(self, x: Metric, y: Metric) -> str:
        """Axes, ticks and what they count."""
        bottom = self.y(0)
        parts = [
            f'<path class="axis" d="M{MARGIN},{self.y(self.most_y):.1f} V{bottom:.1f}'
            f' H{self.x(self.most_x):.1f}"/>'
        ]
        parts += (
            _text(self.x(value), bottom + 16, digits(value), "middle")
            for value in ticks(0.0, self.most_x)
        )
        parts += (
            _text(MARGIN - 6, self.y(value) + 4, digits(value), "end")
            for value in ticks(0.0, self.most_y)
        )
        parts.append(_text(WIDTH - MARGIN, bottom + 34, _axis(x), "end"))
        parts.append(_text(8, MARGIN - 16, _axis(y), "start"))
        return "".join(parts)


def _axis(metric: Metric) -> str:
    unit = metric.unit.value
    return metric.label if unit in metric.label else f"{metric.label}, {unit}"


def _words(metric: Metric, found: Median) -> str:
    low, high = figure(found.low, metric.unit), figure(found.high, metric.unit)
    words = f"{figure(found.value, metric.unit)}"
    return f"{words}, {found.confidence:.1%} interval {low} … {high}, {found.count} repeats"


def _mark(plot: _Plot, mark: Mark, number: int, x: Metric, y: Metric) -> str:
    at_x, at_y = plot.x(mark.x.value), plot.y(mark.y.value)
    title = f"{mark.name}: {x.label} {_words(x, mark.x)}; {y.label} {_words(y, mark.y)}"
    return (
        f'<g class="c{number % COLORS}"><title>{escaped(title)}</title>'
        f'<line class="interval" x1="{plot.x(mark.x.low):.1f}" x2="{plot.x(mark.x.high):.1f}"'
        f' y1="{at_y:.1f}" y2="{at_y:.1f}"/>'
        f'<line class="interval" x1="{at_x:.1f}" x2="{at_x:.1f}"'
        f' y1="{plot.y(mark.y.low):.1f}" y2="{plot.y(mark.y.high):.1f}"/>'
        f'<circle class="{"front" if mark.bold else "point"}" cx="{at_x:.1f}" cy="{at_y:.1f}"'
        f' r="{6 if mark.bold else 4}"/></g>'
    )


def _dash(number: int) -> str:
    return "none" if number < COLORS else f"{2 + number // COLORS * 3} 3"


def _open(height: float, label: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escaped(label)}">'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(text)}</text>'
