"""Lines of inked text: widths hold whatever is in them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from prodtop.tui.drawing.line import Line, Piece, _cells, joined, runs
from prodtop.tui.style.inks import PLAIN_PALETTE, Ink
from rich.cells import cell_len

texts = st.text(alphabet="ab 漢字é─", max_size=12)
lines = st.lists(st.builds(Piece, texts, st.sampled_from(list(Ink))), max_size=5).map(
    lambda pieces: Line.of(*pieces)
)
widths = st.integers(min_value=0, max_value=40)


@given(lines, widths)
def test_a_fitted_line_has_the_width_and_starts_the_same(line: Line, width: int) -> None:
    fitted = line.fitted(width)
    assert fitted.width == width
    kept = fitted.plain.rstrip()
    assert line.plain.startswith(kept)


@given(lines, widths)
def test_a_strip_has_the_width(line: Line, width: int) -> None:
    strip = line.strip(PLAIN_PALETTE, width)
    assert strip.cell_length == width
    assert cell_len(strip.text) == width


def test_lines_are_joined_with_a_separator_between_them() -> None:
    parts = [Line.of("a"), Line.of(Piece("b", Ink.BAD)), Line.of("c")]
    assert joined(parts, Line.of(" · ")).plain == "a · b · c"
    assert joined([], Line.of("·")) == Line()


@given(lines)
def test_runs_say_the_same_in_no_more_pieces(line: Line) -> None:
    merged = runs(line.pieces)
    assert merged.plain == line.plain
    assert len(merged.pieces) <= len(line.pieces)
    seen = [(text, ink) for text, ink in _cells(line) if text.strip(" ")]
    assert seen == [(text, ink) for text, ink in _cells(merged) if text.strip(" ")]
    inks = [piece.ink for piece in merged.pieces]
    assert all(one is not other for one, other in pairwise(inks))
