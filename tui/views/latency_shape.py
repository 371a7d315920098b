"""The latencies of a span as a shape: what the panel can draw, and histograms as lines of text."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from ...engine.protocol import LATENCY_EDGES_MS
from ..drawing.line import EMPTY, Line, Piece, line, muted
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
    gap = " " * GAP
    return [
        line(*(part for block in columns for part in (block[row].fitted(width), gap)))
        for row in range(room.height)
    ]


def _block(metric: str, counts: Sequence[int], room: Room, ink: Ink) -> list[Line]:
    """One histogram: its name, the bars, and the ends of its axis."""
    name = NAMES[metric]
    used = [step for step, number in enumerate(counts) if number]
    head = line(Piece(f"{name} ", Ink.TEXT), Piece(MEANINGS[metric], Ink.FAINT))
    if not used:
        none = line(muted("no request has ended"))
        return [room.clipped(head), none, *[EMPTY] * (room.height - 2)]
    first, last = _range(used)
    shown = counts[first : last + 1]
    heights = _heights(shown, room.width, room.height - 2, len(room.glyphs.steps))
    bars = [
        line(Piece("".join(_cell(height, row, room) for height in heights), ink))
        for row in range(room.height - 3, -1, -1)
    ]
    low, high = _edge(first - 1), _edge(last)
    ends = line(muted(low), " " * (len(heights) - len(low) - len(high)), muted(high))
    return [room.clipped(head), *bars, ends]


def _range(used: Sequence[int]) -> tuple[int, int]:
    """The steps to show: those in use and one on each side, so that the shape has its feet."""
    return max(0, used[0] - 1), min(len(LATENCY_EDGES_MS), used[-1] + 1)


def _heights(counts: Sequence[int], width: int, rows: int, steps: int) -> list[int]:
    """The height of each cell's bar in parts of a cell: `width` cells or few less. What has counts
    is seen."""
    largest = max(counts)
    each = max(1, width // len(counts))
    if each * len(counts) > width:
        # More steps than cells: neighbours share one.
        together = -(-len(counts) // width)
        counts = [sum(counts[at : at + together]) for at in range(0, len(counts), together)]
        largest = max(counts)
    tall = [max(1, round(number / largest * rows * steps)) if number else 0 for number in counts]
    return [height for height in tall for _ in range(each)]


def _cell(height: int, row: int, room: Room) -> str:
    """What a bar shows in a row, counted from the bottom."""
    steps = room.glyphs.steps
    filled = min(max(0, height - row * len(steps)), len(steps))
    return steps[filled - 1] if filled else " "


def _edge(step: int) -> str:
    return MILLISECONDS.axis(LATENCY_EDGES_MS[min(max(0, step), len(LATENCY_EDGES_MS) - 1)])
