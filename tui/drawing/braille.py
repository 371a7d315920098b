"""Curves drawn as rows of braille cells: a pure raster, no terminal.

A cell is two dots wide and four high; its code point is U+2800 plus one bit a dot. A column of
dots is one bucket of time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .axis import Axis
from .chart_data import Stroke
from .timebase import Floats, TimeBase

DOTS_WIDE = 2
DOTS_HIGH = 4
BRAILLE_BASE = 0x2800

_BIT_ORDER = np.array([0, 1, 2, 4, 5, 6, 3, 7])
"""The dots of a cell, counted down the left column and then the right, in the order of their bits:
the lowest row came late to braille and has the two highest bits."""


def dot_rows(levels: Floats, axis: Axis, dots: int) -> NDArray[np.int64]:
    """The dot row of each level, 0 at the bottom, clamped to the raster; -1 for NaN."""
    scaled = np.rint(axis.heights(levels) * (dots - 1))
    return np.where(np.isnan(levels), -1, np.clip(np.nan_to_num(scaled), 0, dots - 1)).astype(
        np.int64
    )


@dataclass(frozen=True, slots=True)
class Trace:
    """One series, bucketed, and how it is drawn."""

    levels: Floats
    stroke: Stroke = Stroke.LINE
    peaks: tuple[Floats, Floats] | None = None
    """The least and the greatest samples of each bucket, where they are drawn as well."""


@dataclass(frozen=True, slots=True)
class Raster:
    """Cells, `[rows, columns]`: `characters` are code points (a space where nothing is drawn),
    `owner` is the index of the trace on top in the cell or -1, `filled` says that it is an area,
    and `inside` that the cell lies inside that area rather than on its edge."""

    characters: NDArray[np.uint32]
    owner: NDArray[np.int8]
    filled: NDArray[np.bool_]
    inside: NDArray[np.bool_]


def rasterize(
    traces: Sequence[Trace],
    base: TimeBase,
    rows: int,
    axis: Axis,
    *,
    unicode: bool = True,
) -> Raster:
    """Draw traces over one another, later ones on top.

    Lines that cross share the dots of a cell; a line over an area stands free of it.
    """
    shape = (rows, base.columns)
    raster = Raster(
        characters=np.full(shape, ord(" "), dtype=np.uint32),
        owner=np.full(shape, -1, dtype=np.int8),
        filled=np.zeros(shape, dtype=bool),
        inside=np.zeros(shape, dtype=bool),
    )
    draw = _draw_braille if unicode else _draw_ascii
    for index, trace in enumerate(traces):
        draw(raster, index, trace, base, axis)
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
        hidden = phase >= (6 if stroke is Stroke.DASHED else 2)
        lows, highs = np.where(hidden, -1, lows), np.where(hidden, -1, highs)
    return lows, highs


def _draw_braille(raster: Raster, index: int, trace: Trace, base: TimeBase, axis: Axis) -> None:
    rows = raster.characters.shape[0]
    dots = rows * DOTS_HIGH
    tops = dot_rows(trace.levels, axis, dots)
    if trace.peaks is not None and trace.stroke is Stroke.AREA:
        tops = np.maximum(tops, dot_rows(trace.peaks[1], axis, dots))
    lows, highs = _spans(tops, trace.stroke, base.first_bucket)
    if trace.peaks is not None and trace.stroke is not Stroke.AREA:
        least, greatest = (dot_rows(each, axis, dots) for each in trace.peaks)
        # A peak is drawn whole, also where a dashed line has a gap.
        lows = np.where(least < 0, lows, np.where(lows < 0, least, np.minimum(lows, least)))
        highs = np.maximum(highs, greatest)
    levels = np.arange(dots)[::-1, None]
    lit = (levels >= lows) & (levels <= highs) & (lows >= 0)
    cells = lit.reshape(rows, DOTS_HIGH, base.columns, DOTS_WIDE).transpose(0, 2, 3, 1)
    dotted = cells.reshape(rows, base.columns, DOTS_HIGH * DOTS_WIDE)[:, :, _BIT_ORDER]
    masks = np.packbits(dotted, axis=2, bitorder="little")[:, :, 0]
    drawn = masks > 0
    codes = masks.astype(np.uint32) + BRAILLE_BASE
    if trace.stroke is not Stroke.AREA:
        crossed = drawn & (raster.owner >= 0) & ~raster.filled
        codes[crossed] |= raster.characters[crossed]
    _own(raster, index, drawn)
    raster.filled[drawn] = trace.stroke is Stroke.AREA
    raster.characters[drawn] = codes[drawn]
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


def _draw_ascii(raster: Raster, index: int, trace: Trace, base: TimeBase, axis: Axis) -> None:
    rows = raster.characters.shape[0]
    steps = len(_ASCII_LINE)
    pairs = trace.levels.reshape(base.columns, DOTS_WIDE)
    empty = np.isnan(pairs).all(axis=1)
    levels = np.where(empty, np.nan, np.fmax(pairs[:, 0], pairs[:, 1]))
    if trace.peaks is not None:
        highest = trace.peaks[1].reshape(base.columns, DOTS_WIDE)
        levels = np.fmax(levels, np.fmax(highest[:, 0], highest[:, 1]))
    tops = dot_rows(levels, axis, rows * steps)
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
