"""What every scheme stores of the layers' weights: levels, and plain affine ones beside them."""

from collections.abc import Sequence

from ....engine.protocol import ErrorTotals
from ...drawing.line import Piece, line, muted
from ...state.quality import Quality
from ...style.formatting import binary_bytes
from ...style.glyphs import Glyphs
from ...style.inks import Ink
from ..panel import Room, Row, RowsView
from ..table import Column, table
from .wording import decibel, percent_of


def schemes_view(quality: Quality, room: Room, chosen: str) -> RowsView:
    """What is stored of the layers' weights in every scheme, over all of them."""
    totals = [report.totals for report in quality.errors]
    title = line(Piece("Weights", Ink.TITLE), muted("  of all layers"))
    if not totals:
        return RowsView(title, rows=(Row(line(" ", muted("not measured"))),))
    head, rows = table(_scheme_columns(totals, chosen, room.glyphs), room.width - 1)
    return RowsView(
        title,
        head=(line(" ", head),),
        rows=tuple(
            Row(line(" ", row), each.scheme) for each, row in zip(totals, rows, strict=True)
        ),
        foot=(room.clipped(line(" ", muted("affine: a matrix's range in equal steps"))),),
    )


def _scheme_columns(totals: Sequence[ErrorTotals], chosen: str, glyphs: Glyphs) -> list[Column]:
    def names(each: ErrorTotals) -> Piece:
        ink = Ink.STRONG if each.scheme == chosen else Ink.TEXT
        return Piece(each.scheme, ink, f"screen.choose('{each.scheme}')")

    return [
        Column("scheme", [names(each) for each in totals], right=False),
        Column("bytes", [binary_bytes(each.stored_bytes) for each in totals]),
        Column("compression", [f"{each.compression:.2f}{glyphs.times}" for each in totals], rank=1),
        Column("smaller by", [f"{100 * each.size_reduction:.1f} %" for each in totals], rank=4),
        Column("per MiB", [f"{each.parameters_per_mib:,.0f}" for each in totals], rank=6),
        Column("mean error", [f"{each.mean_abs:.3g}" for each in totals], rank=5),
        Column("relative", [percent_of(each.relative) for each in totals], rank=2),
        Column("SNR", [decibel(each.snr_power_db) for each in totals]),
    ]
