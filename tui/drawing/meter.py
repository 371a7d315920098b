"""Gauges, stacked bars and sparklines as lines of text. Pure: they take glyphs, give lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ..style.glyphs import Glyphs
from ..style.inks import PART_INKS, Ink
from .line import Line, Piece, joined


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a stacked bar. `style` is its place among the patterns and part colours."""

    name: str
    amount: float
    style: int | None = None


def gauge(
    fraction: float | None,
    width: int,
    glyphs: Glyphs,
    *,
    ink: Ink = Ink.ACCENT,
    warn_at: float | None = None,
    bad_at: float | None = None,
) -> Line:
    """A horizontal bar of `width` cells filled to `fraction` of 1; faint and empty for `None`.

    From `warn_at` and `bad_at` on it takes their colours. More than nothing shows at least the
    thinnest sign, and less than all never looks full.
    """
    if fraction is None or math.isnan(fraction):
        return Line.of(Piece(glyphs.gauge_empty * width, Ink.RULE))
    if bad_at is not None and fraction >= bad_at:
        ink = Ink.BAD
    elif warn_at is not None and fraction >= warn_at:
        ink = Ink.WARN
    steps = len(glyphs.gauge_partial) + 1
    total = width * steps
    filled = round(min(max(fraction, 0.0), 1.0) * total)
    if 0 < fraction < 1 and total > 1:
        filled = min(max(filled, 1), total - 1)
    full, rest = divmod(filled, steps)
    bar = glyphs.gauge_full * full + (glyphs.gauge_partial[rest - 1] if rest else "")
    return Line.of(Piece(bar, ink), Piece(glyphs.gauge_empty * (width - len(bar)), Ink.RULE))


def stacked(parts: Sequence[Part], total: float | None, width: int, glyphs: Glyphs) -> Line:
    """A bar of `width` cells for `total`, each part with its own pattern and colour, then empty.

    A part that is not zero gets at least one cell as long as there is room for all; the cells add
    up to `width`. `total` of `None`, or less than the parts' sum, means their sum.
    """
    amounts = [max(0.0, part.amount) for part in parts]
    whole = max(sum(amounts), total or 0.0)
    if whole <= 0:
        return Line.of(Piece(glyphs.pattern_empty * width, Ink.RULE))
    cells = apportion([*amounts, whole - sum(amounts)], width)
    keys = [_key(part, index, glyphs) for index, part in enumerate(parts)]
    pieces = [Piece(key.text * count, key.ink) for key, count in zip(keys, cells, strict=False)]
    return Line.of(*pieces, Piece(glyphs.pattern_empty * cells[-1], Ink.RULE))


def part_key(style: int, glyphs: Glyphs) -> Piece:
    """The sign and the ink that a stacked bar draws the part `style` with."""
    return Piece(glyphs.patterns[style % len(glyphs.patterns)], PART_INKS[style % len(PART_INKS)])


def stacked_legend(parts: Sequence[Part], texts: Sequence[str], glyphs: Glyphs) -> Line:
    """The parts of a stacked bar by name, each with its pattern and a text: `▓ weights 1.2 GiB`."""
    return joined(
        (
            Line.of(
                _key(part, index, glyphs),
                Piece(f" {part.name} ", Ink.MUTED),
                Piece(text, Ink.TEXT),
            )
            for index, (part, text) in enumerate(zip(parts, texts, strict=True))
        ),
        Line.of(Piece("  ")),
    )


def bars(values: Sequence[float], rows: int, glyphs: Glyphs, ink: Ink) -> list[Line]:
    """A column of one cell for each value, `rows` lines high, the largest one to the top. What is
    above zero is seen; below zero and where nothing is, the lowest line has faint empty cells."""
    largest = max(values, default=0.0)
    full = len(glyphs.steps)
    heights = [max(1, round(value / largest * rows * full)) if value > 0 else 0 for value in values]
    return [_bar_row(heights, row, glyphs, ink) for row in range(rows - 1, -1, -1)]


def _bar_row(heights: Sequence[int], row: int, glyphs: Glyphs, ink: Ink) -> Line:
    """One row of bars, counted from the bottom: runs of drawn and of empty cells."""
    pieces: list[Piece] = []
    full = len(glyphs.steps)
    for drawn, run in groupby(heights, key=lambda height: height > row * full):
        if drawn:
            filled = (min(height - row * full, full) for height in run)
            pieces.append(Piece("".join(glyphs.steps[steps - 1] for steps in filled), ink))
        else:
            blank = " " if row else glyphs.pattern_empty
            pieces.append(Piece(blank * len(list(run)), Ink.FAINT))
    return Line.of(*pieces)


def to_scale(parts: Sequence[Part], width: int, glyphs: Glyphs) -> Line:
    """The parts one after the other in `width` cells, each end where it lies to scale: a part that
    fills no half of a cell is not seen."""
    whole = sum(part.amount for part in parts)
    pieces: list[Piece] = []
    passed, drawn = 0.0, 0
    for index, part in enumerate(parts):
        passed += part.amount
        end = round(passed / whole * width) if whole > 0 else 0
        key = _key(part, index, glyphs)
        pieces.append(Piece(key.text * (end - drawn), key.ink))
        drawn = end
    return Line.of(*pieces)


def swatch(part: Part, glyphs: Glyphs) -> Piece:
    """The sign of a part with a style of its own, for a legend: `▓`."""
    return _key(part, 0, glyphs)


def kv_blocks(running: int, evictable: int, total: int, width: int, glyphs: Glyphs) -> Line:
    """KV blocks: held by running requests, cached but evictable, free."""
    return stacked(
        (Part("in use", running, 0), Part("evictable", evictable, 2)), total, width, glyphs
    )


def level(fraction: float, width: int, glyphs: Glyphs, click: str = "") -> Line:
    """A setting between lowest and highest as a row of marks: `▮▮▮▯`.

    `click` is an action that takes how far along a mark was clicked, of 1.
    """
    filled = round(min(max(fraction, 0.0), 1.0) * width)
    marks = [
        Piece(glyphs.load_full, Ink.ACCENT) if cell < filled else Piece(glyphs.load_empty, Ink.RULE)
        for cell in range(width)
    ]
    if not click:
        return Line.of(*marks)
    return Line.of(
        *(
            mark._replace(click=f"{click}({cell / width:.3f})")
            for cell, mark in enumerate(marks, start=1)
        )
    )


def apportion(amounts: Sequence[float], cells: int) -> list[int]:
    """Whole cells in proportion to amounts that are not negative, adding up to `cells`.

    Largest remainders; an amount above zero gets a cell, taken from the largest share, while
    there are cells for all such amounts.
    """
    whole = sum(amounts)
    if whole <= 0 or cells <= 0:
        return [0] * len(amounts)
    exact = [amount / whole * cells for amount in amounts]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(amounts)), key=lambda i: counts[i] - exact[i])
    for index in by_remainder[: cells - sum(counts)]:
        counts[index] += 1
    if sum(amount > 0 for amount in amounts) <= cells:
        for index, amount in enumerate(amounts):
            if amount > 0 and counts[index] == 0:
                counts[counts.index(max(counts))] -= 1
                counts[index] = 1
    return counts


def _key(part: Part, index: int, glyphs: Glyphs) -> Piece:
    return part_key(index if part.style is None else part.style, glyphs)
