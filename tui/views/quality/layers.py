"""Errors of the weights, layer by layer: a heat strip with a cursor, and what lies under it."""

from dataclasses import dataclass

from ....engine.protocol import MatrixError
from ...drawing.line import Line, Piece, facts, line, muted
from ...state.quality import Quality
from ...state.quality_grid import Cursor, Grid
from ...style.formatting import MISSING, binary_bytes, exact, percent
from ...style.glyphs import Glyphs
from ...style.inks import Ink
from ..panel import Room, Row, RowsView, value
from .wording import decibel, percent_of

LABEL_CELLS = 9
WIDEST_CELL, DECIMAL_CELL, NUMBER_CELL = 7, 5, 3
"""Cells of the screen that a layer takes: at most; for a decimal; for a number at all."""
EVEN_DB = 0.5
"""A level whose matrices differ by less is of one shade."""
BANDS = ((40.0, Ink.OK), (30.0, Ink.ACCENT), (20.0, Ink.WARN))
"""Decibels from which a cell takes an ink; below all of them the last one."""
EXACT = "="
"""A cell without any error."""


def heat_view(quality: Quality, scheme: str, cursor: Cursor, room: Room) -> RowsView:
    """SNR by layer and matrix: the shade is relative to the level, the ink to fixed decibels."""
    title = line(Piece("SNR by layer", Ink.TITLE), muted(f"  {scheme}"))
    report = quality.report(scheme)
    grid = Grid.of(report)
    if report is None or not grid.cells:
        words = "still to come" if quality.running else "not measured"
        return RowsView(title, rows=(Row(line(" ", muted(f"{scheme}: {words}"))),))
    at = cursor.within(grid)
    strip = _Strip.of(grid, at, room.width - 1 - LABEL_CELLS)
    head = [line(" " * (1 + LABEL_CELLS), strip.axis(room.glyphs))]
    for place, name in enumerate(grid.names):
        pointer = room.glyphs.pointer if place == at.matrix else " "
        label = line(Piece(pointer, Ink.ACCENT), muted(name.ljust(LABEL_CELLS)))
        head.append(line(label, strip.shades(name, room.glyphs)))
        if strip.cell >= NUMBER_CELL and room.height >= 2 * len(grid.names) + 2:
            head.append(line(" " * (1 + LABEL_CELLS), strip.numbers(name, place == at.matrix)))
    totals = decibel(report.totals.snr_power_db)
    return RowsView(
        title,
        figures=line(muted("of all weights "), Piece(totals, Ink.STRONG)),
        head=tuple(head),
        foot=strip.legend(room),
    )


@dataclass(frozen=True, slots=True)
class _Strip:
    """The part of a grid that is in sight, `cell` cells of the screen a layer."""

    grid: Grid
    at: Cursor
    first: int
    shown: int
    cell: int

    @classmethod
    def of(cls, grid: Grid, at: Cursor, width: int) -> "_Strip":
        cell = min(WIDEST_CELL, max(1, width // len(grid.layers)))
        shown = min(len(grid.layers), max(1, width // cell))
        first = min(max(0, at.layer - shown // 2), len(grid.layers) - shown)
        return cls(grid, at, first, shown, cell)

    @property
    def layers(self) -> tuple[int, ...]:
        return self.grid.layers[self.first : self.first + self.shown]

    @property
    def extent(self) -> tuple[float, float] | None:
        """The least and the greatest SNR of the whole level; `None` where all is exact."""
        found = [each.snr_power_db for each in self.grid.cells.values() if each.snr_power_db]
        return (min(found), max(found)) if found else None

    def axis(self, glyphs: Glyphs) -> Line:
        """Numbers of layers as far as they do not touch, and the cursor's column."""
        text = [" "] * (self.shown * self.cell)
        free = 0
        for place, layer in enumerate(self.layers):
            label, start = str(layer), place * self.cell
            if start >= free and start + len(label) <= len(text):
                text[start : start + len(label)] = label
                free = start + len(label) + 1
        column = self.at.layer - self.first
        start, label = column * self.cell, f"{glyphs.mark}{self.grid.layers[self.at.layer]}"
        start = min(start, max(0, len(text) - len(label)))
        before, after = "".join(text[:start]), "".join(text[start + len(label) :])
        # A number that the cursor's own cuts in two says nothing.
        before = before.rstrip("0123456789").ljust(start) if before[-1:].strip() else before
        after = after.lstrip("0123456789").rjust(len(after))
        return line(muted(before), Piece(label, Ink.ACCENT), muted(after))

    def shades(self, name: str, glyphs: Glyphs) -> Line:
        pieces = []
        for place, layer in enumerate(self.layers):
            found = self.grid.cells.get((layer, name))
            click = f"screen.cell({self.first + place}, '{name}')"
            pieces.append(Piece(self._shade(found, glyphs) * self.cell, band(found), click))
        return line(*pieces)

    def numbers(self, name: str, chosen: bool) -> Line:
        pieces = []
        for place, layer in enumerate(self.layers):
            found = self.grid.cells.get((layer, name))
            here = chosen and self.first + place == self.at.layer
            text = self._number(found).ljust(self.cell)
            pieces.append(Piece(text, Ink.STRONG if here else Ink.MUTED))
        return line(*pieces)

    def _number(self, found: MatrixError | None) -> str:
        if found is None:
            return MISSING
        if found.snr_power_db is None:
            return EXACT
        decimal = f"{found.snr_power_db:.1f}"
        return (
            decimal
            if len(decimal) < self.cell and self.cell >= DECIMAL_CELL
            else f"{found.snr_power_db:.0f}"
        )

    def _shade(self, found: MatrixError | None, glyphs: Glyphs) -> str:
        """Fuller where there is more error, between the best and the worst of the level."""
        extent = self.extent
        if found is None:
            return " "
        if found.snr_power_db is None or extent is None:
            return EXACT
        least, greatest = extent
        if greatest - least < EVEN_DB:
            return glyphs.shades[1]
        share = (greatest - found.snr_power_db) / (greatest - least)
        return glyphs.shades[min(len(glyphs.shades) - 1, int(share * len(glyphs.shades)))]

    def legend(self, room: Room) -> tuple[Line, ...]:
        extent, shades = self.extent, room.glyphs.shades
        if extent is None:
            return (line(" ", muted(f"{EXACT} stored without any error")),)
        least, greatest = extent
        if greatest - least < EVEN_DB:
            relative = line(shades[1], muted(f" even: {least:.1f} dB in all layers"))
        else:
            relative = line(
                muted(f"{greatest:.1f} dB "), shades, muted(f" {least:.1f} dB, the most error")
            )
        at_least = ">=" if not room.glyphs.unicode else "≥"
        bands = [Piece(f"{at_least}{limit:.0f} ", ink) for limit, ink in BANDS]
        fixed = line(*bands, Piece(f"<{BANDS[-1][0]:.0f}", Ink.BAD), muted(" dB"))
        return (line(" ", facts([relative, fixed], room.width - 1, room.glyphs)),)


def band(found: MatrixError | None) -> Ink:
    """The ink of a cell: of fixed decibels, so that levels compare."""
    if found is None:
        return Ink.FAINT
    if found.snr_power_db is None:
        return BANDS[0][1]
    return next((ink for limit, ink in BANDS if found.snr_power_db >= limit), Ink.BAD)


def cell_view(quality: Quality, scheme: str, cursor: Cursor, room: Room) -> RowsView:
    """All that was measured of the matrix under the cursor."""
    found = Grid.of(quality.report(scheme)).at(cursor)
    if found is None:
        return RowsView(line(Piece("Matrix", Ink.TITLE)))
    named = line(
        Piece("Matrix", Ink.TITLE),
        muted(f"  layer {found.layer} "),
        Piece(found.matrix, Ink.STRONG),
    )
    pairs = _cell_figures(found, room.glyphs)
    columns = 2 if room.width >= 64 else 1
    width = (room.width - 1) // columns
    texts = [line(muted(f"{name:<10} "), value(text)) for name, text in pairs]
    rows = [
        Row(line(" ", *(text.fitted(width) for text in texts[start : start + columns])))
        for start in range(0, len(texts), columns)
    ]
    weights = line(Piece(exact(found.parameters), Ink.STRONG), muted(" weights"))
    return RowsView(named, figures=weights, rows=tuple(rows))


def _cell_figures(found: MatrixError, glyphs: Glyphs) -> list[tuple[str, str]]:
    dots = "…" if glyphs.unicode else ".."
    plain = found.relative_plain
    saved = found.master_bytes / found.stored_bytes
    sizes = (binary_bytes(found.master_bytes), binary_bytes(found.stored_bytes))
    return [
        ("mean error", f"{found.mean_abs:.3g}"),
        ("max error", f"{found.max_abs:.3g}"),
        ("relative", f"{percent_of(found.relative)} of the weights' sum"),
        ("plain", MISSING if plain is None else f"{percent_of(plain)} mean of each"),
        ("SNR std", decibel(found.snr_std_db)),
        ("SNR power", decibel(found.snr_power_db)),
        ("range", f"{found.least:.3g} {dots} {found.greatest:.3g}"),
        ("step", "not one" if found.step is None else f"{found.step:.3g} mean"),
        ("clipped", percent(found.clipped)),
        ("bytes", f"{sizes[0]} {glyphs.arrow_right} {sizes[1]} ({saved:.2f}{glyphs.times})"),
    ]
