"""Series of (time, value) drawn as rows of braille cells: a pure raster, no terminal.

Time is cut into buckets that start at whole multiples of the bucket's length, two to a cell, so
that a chart scrolls by whole cells and what was drawn once keeps its shape. A cell is two dots
wide and four high; its code point is U+2800 plus one bit a dot.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

DOTS_WIDE = 2
DOTS_HIGH = 4
BRAILLE_BASE = 0x2800

_DOT_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint8)
"""The bit of each dot, [row from the top, column]."""

GAP_SPACINGS = 2.5
"""Samples further apart than this many usual spacings are not joined."""


class Pick(StrEnum):
    """What stands for a bucket that holds several samples."""

    MEAN = "mean"
    MAX = "max"
    LAST = "last"


class Stroke(StrEnum):
    """How a series is drawn. Strokes tell series apart where there is no colour."""

    LINE = "line"
    DASHED = "dashed"
    DOTTED = "dotted"
    AREA = "area"


@dataclass(frozen=True, slots=True)
class TimeBase:
    """`columns` cells of time; the last cell is the one that holds the moment `end_s`."""

    first_bucket: int
    bucket_s: float
    columns: int

    @classmethod
    def ending(cls, end_s: float, span_s: float, columns: int) -> "TimeBase":
        """About `span_s` of time up to `end_s`, in whole cells aligned to multiples of a cell."""
        bucket_s = span_s / (columns * DOTS_WIDE)
        last_cell = math.floor(end_s / (bucket_s * DOTS_WIDE))
        return cls((last_cell - columns + 1) * DOTS_WIDE, bucket_s, columns)

    @property
    def buckets(self) -> int:
        return self.columns * DOTS_WIDE

    @property
    def start_s(self) -> float:
        return self.first_bucket * self.bucket_s

    @property
    def end_s(self) -> float:
        """The end of the last cell: up to one cell after the moment it was made for."""
        return (self.first_bucket + self.buckets) * self.bucket_s

    def column_of(self, time_s: float) -> int | None:
        """The cell that holds a moment; `None` outside."""
        column = (math.floor(time_s / self.bucket_s) - self.first_bucket) // DOTS_WIDE
        return column if 0 <= column < self.columns else None

    def time_of(self, column: int) -> float:
        """The moment in the middle of a cell."""
        return (self.first_bucket + (column + 0.5) * DOTS_WIDE) * self.bucket_s


def bucketed(
    times_s: Sequence[float] | Floats,
    values: Sequence[float] | Floats,
    base: TimeBase,
    *,
    pick: Pick = Pick.MEAN,
    gap_s: float = 2.0,
) -> Floats:
    """One value for each bucket, `[columns * 2]`; NaN where there is none.

    `times_s` ascend. Buckets between two samples no further apart than `gap_s` (or than a few
    times the usual spacing, if that is longer) lie on the line between them. A NaN value is a
    gap on purpose and is never bridged.
    """
    times = np.asarray(times_s, dtype=np.float64)
    numbers = np.asarray(values, dtype=np.float64)
    usual_s = float(np.median(np.diff(times[-64:]))) if len(times) > 2 else 0.0
    bridge_s = max(gap_s, GAP_SPACINGS * usual_s)
    low = int(np.searchsorted(times, base.start_s - bridge_s))
    high = int(np.searchsorted(times, base.end_s))
    times, numbers = times[low:high], numbers[low:high]
    result = np.full(base.buckets, np.nan)
    if len(times) == 0:
        return result
    index = np.floor(times / base.bucket_s).astype(np.int64) - base.first_bucket
    known = ~np.isnan(numbers)
    _pool(result, index, numbers, known, pick)
    _bridge(result, index, times, known, base, bridge_s)
    return result


def _pool(
    result: Floats,
    index: NDArray[np.int64],
    numbers: Floats,
    known: NDArray[np.bool_],
    pick: Pick,
) -> None:
    """Put the pooled value of each bucket with a known sample into `result`."""
    inside = known & (index >= 0) & (index < len(result))
    at, picked = index[inside], numbers[inside]
    if len(at) == 0:
        return
    starts = np.flatnonzero(np.concatenate(([True], at[1:] != at[:-1])))
    if pick is Pick.MAX:
        pooled = np.maximum.reduceat(picked, starts)
    elif pick is Pick.LAST:
        pooled = picked[np.append(starts[1:], len(picked)) - 1]
    else:
        lengths = np.diff(np.append(starts, len(picked)))
        pooled = np.add.reduceat(picked, starts) / lengths
    result[at[starts]] = pooled


def _bridge(
    result: Floats,
    index: NDArray[np.int64],
    times: Floats,
    known: NDArray[np.bool_],
    base: TimeBase,
    bridge_s: float,
) -> None:
    """Fill the empty buckets between neighbouring samples that belong together."""
    joined = known[1:] & known[:-1] & (np.diff(times) <= bridge_s) & (np.diff(index) > 1)
    empty = np.isnan(result)
    if not joined.any() or not empty.any():
        return
    filled = np.flatnonzero(~empty)
    if len(filled) < 2:
        return
    between = np.zeros(len(result), dtype=bool)
    for left in np.flatnonzero(joined):
        between[max(0, index[left] + 1) : max(0, index[left + 1])] = True
    wanted = np.flatnonzero(between & empty)
    wanted = wanted[(wanted > filled[0]) & (wanted < filled[-1])]
    result[wanted] = np.interp(wanted, filled, result[filled])


def heights(levels: Floats, low: float, high: float, dots: int) -> NDArray[np.int64]:
    """The dot row of each level, 0 at the bottom, clamped to the raster; -1 for NaN."""
    span = high - low if high > low else 1.0
    scaled = np.rint((levels - low) / span * (dots - 1))
    return np.where(np.isnan(levels), -1, np.clip(np.nan_to_num(scaled), 0, dots - 1)).astype(
        np.int64
    )


@dataclass(frozen=True, slots=True)
class Trace:
    """One series, bucketed, and how it is drawn."""

    levels: Floats
    stroke: Stroke = Stroke.LINE


@dataclass(frozen=True, slots=True)
class Raster:
    """Cells, `[rows, columns]`: `characters` are code points (a space where nothing is drawn),
    `owner` is the index of the trace on top in the cell or -1, and `inside` says that the cell
    is the inside of that trace's area rather than its edge."""

    characters: NDArray[np.uint32]
    owner: NDArray[np.int8]
    inside: NDArray[np.bool_]


def rasterize(
    traces: Sequence[Trace],
    base: TimeBase,
    rows: int,
    low: float,
    high: float,
    *,
    unicode: bool = True,
) -> Raster:
    """Draw traces over one another, later ones on top, between the levels `low` and `high`."""
    shape = (rows, base.columns)
    raster = Raster(
        characters=np.full(shape, ord(" "), dtype=np.uint32),
        owner=np.full(shape, -1, dtype=np.int8),
        inside=np.zeros(shape, dtype=bool),
    )
    draw = _draw_braille if unicode else _draw_ascii
    for index, trace in enumerate(traces):
        draw(raster, index, trace, base, low, high)
    return raster


def _spans(
    tops: NDArray[np.int64], stroke: Stroke, first_bucket: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lowest and highest dot of each bucket's stroke; -1 where nothing is drawn.

    A line reaches half way to both neighbours, so that steep steps stay connected.
    """
    if stroke is Stroke.AREA:
        return np.where(tops < 0, -1, 0), tops
    before = np.concatenate(([-1], tops[:-1]))
    reach = np.where(before < 0, tops, (before + tops + (tops > before)) // 2)
    lows = np.where(tops < 0, -1, np.minimum(tops, reach))
    highs = np.where(tops < 0, -1, np.maximum(tops, reach))
    after = np.concatenate((tops[1:], [-1]))
    onward = np.where(after < 0, tops, (after + tops + (after > tops)) // 2)
    step = np.where(after > tops, onward - 1, np.where(after < tops, onward + 1, tops))
    lows = np.where(tops < 0, -1, np.minimum(lows, np.where(after < 0, tops, step)))
    highs = np.where(tops < 0, -1, np.maximum(highs, np.where(after < 0, tops, step)))
    if stroke is not Stroke.LINE:
        phase = (np.arange(len(tops)) + first_bucket) % (8 if stroke is Stroke.DASHED else 4)
        hidden = phase >= (5 if stroke is Stroke.DASHED else 2)
        lows, highs = np.where(hidden, -1, lows), np.where(hidden, -1, highs)
    return lows, highs


def _draw_braille(
    raster: Raster, index: int, trace: Trace, base: TimeBase, low: float, high: float
) -> None:
    rows = raster.characters.shape[0]
    dots = rows * DOTS_HIGH
    tops = heights(trace.levels, low, high, dots)
    lows, highs = _spans(tops, trace.stroke, base.first_bucket)
    levels = np.arange(dots)[::-1, None]
    lit = (levels >= lows) & (levels <= highs) & (lows >= 0)
    cells = lit.reshape(rows, DOTS_HIGH, base.columns, DOTS_WIDE)
    masks = np.einsum("rhcw,hw->rc", cells, _DOT_BITS, dtype=np.uint8, casting="unsafe")
    drawn = masks > 0
    _own(raster, index, drawn)
    raster.characters[drawn] = masks[drawn].astype(np.uint32) + BRAILLE_BASE
    if trace.stroke is Stroke.AREA:
        raster.inside[drawn & (masks == 0xFF)] = True
        top_rows = rows - 1 - np.maximum(tops, 0) // DOTS_HIGH
        for half in range(DOTS_WIDE):
            columns = np.flatnonzero(tops[half::DOTS_WIDE] >= 0)
            raster.inside[top_rows[half::DOTS_WIDE][columns], columns] = False


_ASCII_LINE = np.array([ord(c) for c in "_-'"], dtype=np.uint32)
_ASCII_TOP = np.array([ord(c) for c in ".:|"], dtype=np.uint32)
_ASCII_INSIDE = ord("|")
ASCII_PENS = "*+ox%@"
"""In ASCII lines after the first differ by their character, for there may be no colour."""


def _draw_ascii(
    raster: Raster, index: int, trace: Trace, base: TimeBase, low: float, high: float
) -> None:
    rows = raster.characters.shape[0]
    steps = len(_ASCII_LINE)
    pairs = trace.levels.reshape(base.columns, DOTS_WIDE)
    empty = np.isnan(pairs).all(axis=1)
    levels = np.where(empty, np.nan, np.fmax(pairs[:, 0], pairs[:, 1]))
    tops = heights(levels, low, high, rows * steps)
    columns = np.flatnonzero(tops >= 0)
    at_rows = rows - 1 - tops[columns] // steps
    fractions = tops[columns] % steps
    area = trace.stroke is Stroke.AREA
    if area:
        inside = (np.arange(rows)[:, None] > rows - 1 - tops // steps) & (tops >= 0)
        _own(raster, index, inside)
        raster.characters[inside] = _ASCII_INSIDE
        raster.inside[inside] = True
    drawn = np.zeros_like(raster.inside)
    drawn[at_rows, columns] = True
    _own(raster, index, drawn)
    if area:
        raster.characters[at_rows, columns] = _ASCII_TOP[fractions]
    elif index == 0:
        raster.characters[at_rows, columns] = _ASCII_LINE[fractions]
    else:
        raster.characters[at_rows, columns] = ord(ASCII_PENS[(index - 1) % len(ASCII_PENS)])


def _own(raster: Raster, index: int, drawn: NDArray[np.bool_]) -> None:
    raster.owner[drawn] = index
    raster.inside[drawn] = False
