"""The diff of two marked files, as a panel: settings, metrics with their verdict, latencies."""

from ....engine.records.diff.diff import Change, Diff, Verdict
from ....engine.records.diff.wording import histogram_lines, ordered, row, setting_rows, summary
from ...drawing.line import EMPTY, Line, Piece, in_glyphs, line, muted, strong
from ...style.inks import Ink
from ..panel import Room, Row, RowsView

VERDICT_INKS = {Verdict.BETTER: Ink.OK, Verdict.WORSE: Ink.BAD}
WIDTHS = (20, 14, 14, 10)
BETWEEN_CELLS, VERDICT_CELLS = 28, 24


def difference_view(found: Diff, room: Room) -> RowsView:
    """The panel of a diff."""
    lines = [line(" ", strong(summary(found))), EMPTY, *_settings(found, room)]
    between = room.width >= sum(WIDTHS) + BETWEEN_CELLS + VERDICT_CELLS
    lines.append(_heading(between=between))
    lines += (_change(each, room, between=between) for each in ordered(found.changes))
    for histogram in found.histograms:
        drawn = histogram_lines(histogram, ascii_only=not room.glyphs.unicode)
        lines += [EMPTY, *(line(f" {in_glyphs(text, room.glyphs)}") for text in drawn)]
    title = in_glyphs(f"Diff  A {found.old} → B {found.new}", room.glyphs)
    return RowsView(
        title=line(Piece(title, Ink.TITLE)),
        figures=line(muted("esc closes")),
        rows=tuple(Row(room.clipped(each)) for each in lines),
    )


def _settings(found: Diff, room: Room) -> list[Line]:
    rows = setting_rows(found)
    if not rows:
        return [line(muted(" no setting differs")), EMPTY]
    arrow = in_glyphs("→", room.glyphs)
    lines = [
        line(muted(f" {name.ljust(WIDTHS[0])}"), before, muted(f" {arrow} "), strong(after))
        for name, before, after in rows
    ]
    return [*lines, EMPTY]


def _heading(*, between: bool) -> Line:
    names = ("A", "B", "change")
    figures = "".join(name.rjust(cells) for name, cells in zip(names, WIDTHS[1:], strict=True))
    extra = "95 % of the difference".rjust(BETWEEN_CELLS) if between else ""
    return line(muted(f" {'metric'.ljust(WIDTHS[0])}{figures}{extra}  verdict"))


def _change(found: Change, room: Room, *, between: bool) -> Line:
    label, before, after, by, spread, verdict = (
        in_glyphs(text, room.glyphs) for text in row(found)
    )
    texts = (before.rjust(WIDTHS[1]), after.rjust(WIDTHS[2]), by.rjust(WIDTHS[3]))
    ink = VERDICT_INKS.get(found.verdict, Ink.MUTED)
    return line(
        muted(f" {label.ljust(WIDTHS[0])}"),
        *texts,
        muted(spread.rjust(BETWEEN_CELLS)) if between else "",
        Piece(f"  {verdict}", ink),
    )
