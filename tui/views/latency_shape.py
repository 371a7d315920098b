"""The latencies of a span as a shape: what the panel can draw, and histograms as lines of text."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from ...engine.protocol import LATENCY_EDGES_MS
from ..drawing.line import EMPTY, Line, Piece, ends, joined, line, muted
from ..drawing.meter import bars
from ..style.formatting import MILLISECONDS
from ..style.inks import SERIES_INKS, Ink
from .latency import MEANINGS, NAMES
from .panel import Room


class LatencyShape(StrEnum):
    """How the latency panel draws what lies behind its percentiles."""

    CURVES = "curves"
    HEATMAP = "heatmap"
    HISTOGRAM = "histogram"


GAP = 2
LEAST_BLOCK = 16
"""Fewer cells than this show no shape: then the last histograms are left out."""
LEAST_HISTOGRAM_ROWS = 4


def histogram_lines(distributions: Mapping[str, Sequence[int]], room: Room) -> list[Line]:
    """A histogram of each latency side by side, as many as fit, `room.height` lines high.

    A bar is a step of `LATENCY_EDGES_MS`: all are equally wide on a logarithmic axis.
    """
    blocks = max(1, min(len(distributions), (room.width + GAP) // (LEAST_BLOCK + GAP)))
    width = (room.width - GAP * (blocks - 1)) // blocks
    columns = [
        _block(name, counts, Room(width, room.height, room.glyphs), SERIES_INKS[place])
        for place, (name, counts) in enumerate(list(distributions.items())[:blocks])
    ]
    gap = line(" " * GAP)
    return [
        joined((block[row].fitted(width) for block in columns), gap) for row in range(room.height)
    ]


def _block(metric: str, counts: Sequence[int], room: Room, ink: Ink) -> list[Line]:
    """One histogram: its name, the bars, and the ends of its axis."""
    name = NAMES[metric]
    used = [step for step, number in enumerate(counts) if number]
    head = line(Piece(f"{name} ", Ink.TEXT), Piece(MEANINGS[metric], Ink.FAINT))
    if not used:
        none = line(muted("none ended"))
        return [room.clipped(head), room.clipped(none), *[EMPTY] * (room.height - 2)]
    first, last = _range(used)
    shown = counts[first : last + 1]
    cells = _cells(shown, room.width)
    low, high = _edge(first - 1), _edge(last)
    axis = ends(line(muted(low)), line(muted(high)), len(cells))
    return [room.clipped(head), *bars(cells, room.height - 2, room.glyphs, ink), room.clipped(axis)]


def _range(used: Sequence[int]) -> tuple[int, int]:
    """The steps to show: those in use and one on each side, so that the shape has its feet."""
    return max(0, used[0] - 1), min(len(LATENCY_EDGES_MS), used[-1] + 1)


def _cells(counts: Sequence[int], width: int) -> list[int]:
    """The counts as `width` cells or a few less: each step some cells, or some steps one cell."""
    if len(counts) > width:
        together = -(-len(counts) // width)
        return [sum(counts[at : at + together]) for at in range(0, len(counts), together)]
    return [number for number in counts for _ in range(width // len(counts))]


def _edge(step: int) -> str:
    return MILLISECONDS.axis(LATENCY_EDGES_MS[min(max(0, step), len(LATENCY_EDGES_MS) - 1)])
